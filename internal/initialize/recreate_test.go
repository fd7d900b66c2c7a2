package initialize_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// disposable is a database that was migrated, has rows, and may be recreated.
func disposable(t *testing.T) *subject {
	t.Helper()
	s := newSubject(t)
	s.write(t, two)
	s.apply(t)
	s.Exec(t, "INSERT INTO users VALUES (1, 'a'); CREATE SCHEMA other; CREATE TABLE other.t (); CREATE VIEW v AS SELECT * FROM users")
	s.spec.Development = true
	return s
}

func TestRecreateDropsAndMigrates(t *testing.T) {
	t.Parallel()
	s := disposable(t)
	s.Exec(t, "SELECT bbm.enqueue('w', 'users', name => 'one'); SELECT bbm.enqueue('w', 'users', name => 'two', paused => true)")

	result, err := initialize.Recreate(t.Context(), s.spec, initialize.RecreateRequest{Token: "monday"})
	require.NoError(t, err)
	require.Equal(t, initialize.ActRecreate, result.Action)
	require.Equal(t, initialize.Versioned, result.Before)
	require.Equal(t, []string{"goose_db_version", "orders", "users"}, s.tables(t))
	require.Zero(t, pgtest.One[int](t, s.Database, "SELECT count(*) FROM users"))
	require.False(t, pgtest.One[bool](t, s.Database, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'other')"))
	require.Equal(t, []string{"cancelled", "cancelled"}, pgtest.Column[string](t, s.Database,
		"SELECT status FROM bbm.batched_background_migrations WHERE status_reason = 'the database is recreated: force_recreate is monday'"))

	run := s.runs(t)[0]
	require.Equal(t, "recreate", run.Action)
	require.Equal(t, control.OutcomeFinished, run.Outcome)
	require.Equal(t, []string{"cancel", "drop", "migrate", "migrate"}, []string{run.Steps[0].Does, run.Steps[1].Does, run.Steps[2].Does, run.Steps[3].Does})
	require.Len(t, s.runs(t), 2, "bbmd's own history stays")
	require.Equal(t, initialize.ActNothing, s.apply(t).Action)
}

func TestRecreateFromModels(t *testing.T) {
	t.Parallel()
	s := disposable(t)
	s.models(t, "CREATE TABLE alone (id int PRIMARY KEY);")
	_, err := initialize.Recreate(t.Context(), s.spec, initialize.RecreateRequest{})
	require.NoError(t, err)
	require.Equal(t, []string{"alone", "goose_db_version"}, s.tables(t))

	s.models(t, "CREATE TABLE is not SQL'")
	_, err = initialize.Recreate(t.Context(), s.spec, initialize.RecreateRequest{})
	require.Equal(t, initialize.KindConfig, initialize.KindOf(err), err)
	require.Equal(t, []string{"alone", "goose_db_version"}, s.tables(t), "nothing is dropped for models that cannot be read")
}

func TestRecreateGuards(t *testing.T) {
	t.Parallel()
	s := disposable(t)
	before := s.everything(t)
	untouched := func() {
		t.Helper()
		require.Equal(t, before, s.everything(t))
		require.Equal(t, 1, pgtest.One[int](t, s.Database, "SELECT count(*) FROM users"))
	}

	s.spec.Development = false
	_, err := initialize.Recreate(t.Context(), s.spec, initialize.RecreateRequest{Token: "t"})
	require.Contains(t, refused(t, err, initialize.RefusedDevelopment).WayOut, "development_mode: true")
	untouched()

	s.spec.Development = true
	s.Exec(t, "SELECT bbm.mark_production('customers live here')")
	before = s.everything(t)
	_, err = initialize.Recreate(t.Context(), s.spec, initialize.RecreateRequest{Token: "t"})
	refusal := refused(t, err, initialize.RefusedProduction)
	require.Contains(t, refusal.Reason, "customers live here")
	untouched()
	require.True(t, s.inspect(t).Production)

	s.Exec(t, "SELECT bbm.unmark_production()")
	_, err = initialize.Recreate(t.Context(), s.spec, initialize.RecreateRequest{Token: "t"})
	require.NoError(t, err)
	_, err = initialize.Recreate(t.Context(), s.spec, initialize.RecreateRequest{Token: "t"})
	require.Contains(t, refused(t, err, initialize.RefusedConsumed).Reason, `"t"`)
	_, err = initialize.Recreate(t.Context(), s.spec, initialize.RecreateRequest{Token: "u"})
	require.NoError(t, err)
}

func TestOfManyReplicasOneRecreates(t *testing.T) {
	t.Parallel()
	const replicas = 5
	s := disposable(t)
	errs, group := make([]error, replicas), sync.WaitGroup{}
	for i := range replicas {
		group.Go(func() {
			_, errs[i] = initialize.Recreate(t.Context(), s.spec, initialize.RecreateRequest{Token: "now"})
		})
	}
	group.Wait()

	var done int
	for _, err := range errs {
		if err == nil {
			done++
			continue
		}
		refused(t, err, initialize.RefusedConsumed)
	}
	require.Equal(t, 1, done)
	require.Len(t, s.runs(t), 2)
}

func TestRecreateWaitsForBatchesThatRun(t *testing.T) {
	t.Parallel()
	s := disposable(t)
	s.Exec(t, "SELECT bbm.enqueue('w', 'users', name => 'one')")
	worker := s.Conn(t)
	epoch, err := control.Store{}.TakeEpoch(t.Context(), worker)
	require.NoError(t, err)
	s.Exec(t, "INSERT INTO bbm.batched_background_migration_jobs (batched_background_migration_id, ordinal, max_value, batch_size, owner) VALUES (1, 1, '1', 1, $1)", epoch)

	hasty := s.spec
	hasty.Limits.Drain = 300 * time.Millisecond
	_, err = initialize.Recreate(t.Context(), hasty, initialize.RecreateRequest{Token: "now"})
	var busy *initialize.BusyError
	require.ErrorAs(t, err, &busy)
	require.Contains(t, busy.Who, "1 jobs of owner")
	require.Equal(t, initialize.KindTransient, initialize.KindOf(err))
	require.Equal(t, 1, pgtest.One[int](t, s.Database, "SELECT count(*) FROM users"))

	ended := make(chan error, 1)
	go func() {
		_, err := initialize.Recreate(t.Context(), s.spec, initialize.RecreateRequest{Token: "now"})
		ended <- err
	}()
	s.WaitFor(t, "SELECT count(*) = 1 FROM bbm.runs WHERE action = 'recreate' AND outcome = 'running'")
	require.Equal(t, 1, pgtest.One[int](t, s.Database, "SELECT count(*) FROM users"))
	require.NoError(t, worker.Close(t.Context())) // the worker dies: its job is nobody's
	require.NoError(t, <-ended)
	require.Zero(t, pgtest.One[int](t, s.Database, "SELECT count(*) FROM users"))
}

func TestRecreateGetsItsLocksInTheEnd(t *testing.T) {
	t.Parallel()
	s := disposable(t)
	reader := s.Conn(t)
	tx, err := reader.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT * FROM users")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := initialize.Recreate(t.Context(), s.spec, initialize.RecreateRequest{})
		ended <- err
	}()
	s.WaitFor(t, "SELECT attempts > 0 FROM (SELECT count(*) AS attempts FROM bbm.runs WHERE action = 'recreate' AND log LIKE '%again in%') r")
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-ended)
	require.Zero(t, pgtest.One[int](t, s.Database, "SELECT count(*) FROM users"))
}

func TestRecreateWhatIsInNoGoodState(t *testing.T) {
	t.Parallel()
	s := disposable(t)
	s.Exec(t, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (7, true); DELETE FROM goose_db_version WHERE version_id = 2")
	require.Equal(t, initialize.UnknownRevision, s.inspect(t).State)
	_, err := initialize.Recreate(t.Context(), s.spec, initialize.RecreateRequest{})
	require.NoError(t, err)
	require.Equal(t, []int64{1, 2}, s.versions(t))
}
