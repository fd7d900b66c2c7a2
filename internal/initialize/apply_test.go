package initialize_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

var two = map[string]string{
	"00001_users.sql":  up("CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL);"),
	"00002_orders.sql": up("CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users);"),
}

func TestEmptyIsMigratedFromTheFirst(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)

	result := s.apply(t)
	require.Equal(t, initialize.ActMigrate, result.Action)
	require.Equal(t, initialize.Empty, result.Before)
	require.Equal(t, []string{"2"}, result.To)
	require.Len(t, result.Steps, 2)
	require.Equal(t, []int64{1, 2}, s.versions(t))
	require.Equal(t, []string{"goose_db_version", "orders", "users"}, s.tables(t))

	runs := s.runs(t)
	require.Len(t, runs, 1)
	require.Equal(t, result.Run, runs[0].ID)
	require.Equal(t, control.OutcomeFinished, runs[0].Outcome)
	require.Equal(t, []string{"2"}, runs[0].To)
	require.Equal(t, "EMPTY", runs[0].StateBefore)
	require.Equal(t, "1.2.3", *runs[0].Version)
	require.Len(t, runs[0].Steps, 2)
	require.NotNil(t, runs[0].Steps[1].FinishedAt)
	require.Contains(t, string(runs[0].Plan), "00001_users.sql")
	require.Equal(t, []string{"1", "2"}, pgtest.Column[string](t, s.Database, "SELECT version FROM bbm.applied WHERE run_id = 1 ORDER BY 1"))
}

func TestSecondRunChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.apply(t)
	before := s.everything(t)

	result := s.apply(t)
	require.Equal(t, initialize.ActNothing, result.Action)
	require.False(t, result.Changed())
	require.Equal(t, []string{"2"}, result.To)
	require.Equal(t, before, s.everything(t))
	require.Len(t, s.runs(t), 1)
	require.NoError(t, initialize.Verify(t.Context(), s.spec))
}

func TestInspectChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	before := s.everything(t)

	f := s.inspect(t)
	require.Equal(t, initialize.Empty, f.State)
	require.Equal(t, []string{"2"}, f.Target)
	require.Len(t, f.Pending, 2)
	require.Equal(t, before, s.everything(t))
	require.Equal(t, initialize.KindPending, initialize.KindOf(initialize.Verify(t.Context(), s.spec)))
	require.Equal(t, before, s.everything(t))
}

func TestEmptyIsCreatedFromModelsAndStamped(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.models(t, `SELECT pg_catalog.set_config('search_path', '', false);
		CREATE TABLE public.users (id int PRIMARY KEY, name text NOT NULL);
		CREATE TABLE public.orders (id int PRIMARY KEY, user_id int REFERENCES public.users);`)

	result := s.apply(t)
	require.Equal(t, initialize.ActCreate, result.Action)
	require.Equal(t, []int64{1, 2}, s.versions(t))
	require.Equal(t, []string{"goose_db_version", "orders", "users"}, s.tables(t))
	require.Equal(t, initialize.ActNothing, s.apply(t).Action)
	require.Equal(t, 2, pgtest.One[int](t, s.Database, "SELECT count(*) FROM bbm.applied"))
}

func TestModelsThatFailLeaveTheDatabaseEmpty(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.models(t, "CREATE TABLE users (id int PRIMARY KEY);\nCREATE TABLE orders (user_id int REFERENCES nobody);")

	_, err := initialize.Apply(t.Context(), s.spec)
	require.Equal(t, initialize.KindFailed, initialize.KindOf(err), err)
	require.ErrorContains(t, err, "schema.sql:2")
	require.Empty(t, s.tables(t))
	require.Equal(t, initialize.Empty, s.inspect(t).State)

	run := s.runs(t)[0]
	require.Equal(t, control.OutcomeFailed, run.Outcome)
	require.Equal(t, "42P01", *run.SQLState)
	require.Equal(t, int32(2), *run.Line)
	require.Contains(t, *run.File, "schema.sql")
	require.Contains(t, run.Log, "schema.sql:2: the statement that failed: CREATE TABLE orders (user_id int REFERENCES nobody)")
}

func TestPendingIsRun(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.apply(t)
	s.write(t, map[string]string{"00003_email.sql": up("ALTER TABLE users ADD email text;")})

	f := s.inspect(t)
	require.Equal(t, initialize.Versioned, f.State)
	require.Len(t, f.Pending, 1)
	var pending *initialize.PendingError
	require.ErrorAs(t, initialize.Verify(t.Context(), s.spec), &pending)
	require.Equal(t, []string{"3"}, pending.Pending)

	result := s.apply(t)
	require.Equal(t, []string{"2"}, result.From)
	require.Equal(t, []string{"3"}, result.To)
	require.Equal(t, []int64{1, 2, 3}, s.versions(t))
}

func TestFailedStepIsRecordedAndTheStepsBeforeStay(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.write(t, map[string]string{"00003_bad.sql": up("SELECT 1;\nALTER TABLE nobody ADD email text;")})

	_, err := initialize.Apply(t.Context(), s.spec)
	var step *initialize.StepError
	require.ErrorAs(t, err, &step)
	require.Equal(t, "3", step.Version)
	require.Equal(t, initialize.KindFailed, initialize.KindOf(err))
	require.Equal(t, []int64{1, 2}, s.versions(t))

	run := s.runs(t)[0]
	require.Equal(t, control.OutcomeFailed, run.Outcome)
	require.Equal(t, "42P01", *run.SQLState)
	require.Equal(t, int32(3), *run.Line)
	require.Contains(t, run.Log, "00003_bad.sql:3: the statement that failed: ALTER TABLE nobody ADD email text;\n")
	require.Len(t, run.Steps, 3)
	require.Nil(t, run.Steps[2].FinishedAt)

	s.write(t, map[string]string{"00003_bad.sql": up("ALTER TABLE users ADD email text;")})
	require.Equal(t, []string{"3"}, s.apply(t).To)
}

func TestEditedFileIsRefused(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.apply(t)
	s.write(t, map[string]string{"00001_users.sql": two["00001_users.sql"] + "-- later\n"})

	before := s.everything(t)
	_, err := initialize.Apply(t.Context(), s.spec)
	refusal := refused(t, err, initialize.RefusedEdited)
	require.Contains(t, refusal.Reason, "00001_users.sql")
	require.Equal(t, before, s.everything(t))
	refused(t, initialize.Verify(t.Context(), s.spec), initialize.RefusedEdited)

	s.Exec(t, refusal.WayOut[len("restore what was applied and put the change into a new migration; or accept a file as it is: "):])
	require.Equal(t, initialize.ActNothing, s.apply(t).Action)
	require.Equal(t, 2, pgtest.One[int](t, s.Database, "SELECT count(*) FROM bbm.applied"), "adopted")
}

func TestAppliedByOthersIsAdopted(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.apply(t)
	s.Exec(t, "DROP SCHEMA bbm CASCADE")

	require.Equal(t, initialize.ActNothing, s.apply(t).Action)
	require.Equal(t, []string{"1", "2"}, pgtest.Column[string](t, s.Database, "SELECT version FROM bbm.applied WHERE run_id IS NULL ORDER BY 1"))
	require.Empty(t, s.runs(t))
	before := s.everything(t)
	s.apply(t)
	require.Equal(t, before, s.everything(t))
}

func TestOutOfOrderIsRefusedOrAllowed(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.write(t, map[string]string{"00005_e.sql": up("CREATE TABLE e ();")})
	s.apply(t)
	s.write(t, map[string]string{"00003_c.sql": up("CREATE TABLE c ();")})

	_, err := initialize.Apply(t.Context(), s.spec)
	require.Contains(t, refused(t, err, initialize.RefusedOutOfOrder).Reason, "3")
	s.spec.OutOfOrder = initialize.Allow
	s.apply(t)
	require.Equal(t, []int64{1, 2, 5, 3}, s.versions(t))
	require.Equal(t, initialize.ActNothing, s.apply(t).Action)
}

func TestManyAtOnceInitializeOnce(t *testing.T) {
	t.Parallel()
	const replicas = 6
	for _, bootstrap := range []initialize.Bootstrap{initialize.FromModels, initialize.FromMigrations} {
		t.Run(string(bootstrap), func(t *testing.T) {
			t.Parallel()
			s := newSubject(t)
			s.write(t, two)
			s.models(t, "CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL);\nCREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users);")
			s.spec.Bootstrap = bootstrap
			actions, group := make([]initialize.Action, replicas), sync.WaitGroup{}
			for i := range replicas {
				group.Go(func() {
					result, err := initialize.Apply(t.Context(), s.spec)
					if err != nil {
						t.Errorf("replica %d: %v", i, err)
					}
					actions[i] = result.Action
				})
			}
			group.Wait()

			acted := 0
			for _, action := range actions {
				if action != initialize.ActNothing {
					acted++
				}
			}
			require.Equal(t, 1, acted, fmt.Sprint(actions))
			require.Len(t, s.runs(t), 1)
			require.Equal(t, []int64{1, 2}, s.versions(t))
		})
	}
}

func TestRunIsRecordedWhileItRuns(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.write(t, map[string]string{"00003_wait.sql": up("SELECT pg_advisory_xact_lock(1);")})
	s.spec.Limits.LockTimeout = -1
	gate := s.Conn(t)
	_, err := gate.Exec(t.Context(), "SELECT pg_advisory_lock(1)")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { _, err := initialize.Apply(ctx, s.spec); ended <- err }()

	s.WaitFor(t, "SELECT to_regclass('bbm.run_steps') IS NOT NULL")
	s.WaitFor(t, "SELECT count(*) = 1 FROM bbm.runs r JOIN bbm.run_steps s ON s.run_id = r.id WHERE outcome = 'running' AND version = '3' AND s.finished_at IS NULL")
	impatient := s.spec
	impatient.Limits.Wait = 1
	_, err = initialize.Apply(t.Context(), impatient)
	var busy *initialize.BusyError
	require.ErrorAs(t, err, &busy)
	require.Equal(t, initialize.KindTransient, initialize.KindOf(err))
	require.Contains(t, busy.Who, "run 1 (migrate)")

	cancel()
	err = <-ended
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, initialize.KindTransient, initialize.KindOf(err))
	require.Equal(t, control.OutcomeInterrupted, s.runs(t)[0].Outcome, "recorded although the context had ended")
	s.WaitFor(t, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'bbmd%')")

	_, err = gate.Exec(t.Context(), "SELECT pg_advisory_unlock(1)")
	require.NoError(t, err)
	require.Equal(t, []string{"3"}, s.apply(t).To)
}
