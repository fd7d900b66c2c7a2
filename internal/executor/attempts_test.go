package executor_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestMaxAttemptsFailTheMigrationWithItsReason(t *testing.T) {
	t.Parallel()
	for _, work := range []string{"bump", "bump_in_go"} {
		t.Run(work, func(t *testing.T) {
			t.Parallel()
			db := database(t)
			table(t, db, 100)
			poison(t, db, 55)
			r := start(t, db, nil)
			enqueue(t, db, work, "batch_size => 1, max_attempts => 3")
			for attempt := 1; attempt < 3; attempt++ {
				db.WaitFor(t, "SELECT EXISTS (SELECT FROM "+jobsTable+" WHERE status = 'pending' AND attempts = $1 AND error_sqlstate = '23514')", attempt)
				hurry(t, db)
			}
			ends(t, db, "failed")

			require.Regexp(t, `^4 23514 job \d+ \(keys after 54 up to 55\): the row with key 55 fails however it is tried \(3 attempts\), .*: row 55 is poisoned`, failure(t, db))
			r.logs("row 55 is poisoned")
			require.Equal(t, failure(t, db)[len("4 23514 "):], pgtest.One[string](t, db, "SELECT status_reason FROM bbm.progress"))
			require.Equal(t, 1, pgtest.One[int](t, db, "SELECT failed_jobs FROM bbm.progress"))
			require.Equal(t, 3, pgtest.One[int](t, db, "SELECT attempts FROM "+jobsTable+" WHERE status = 'failed' AND error_message LIKE 'row 55 is poisoned%'"))

			// What did not fail was done once, and retry does the rest.
			require.Equal(t, pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE status = 'finished'"), pgtest.One[int](t, db, "SELECT sum(n) FROM t"))
			cure(t, db, 55)
			db.Exec(t, "SELECT bbm.retry('m')")
			exactlyOnce(t, db)
			require.Equal(t, 1, pgtest.One[int](t, db, "SELECT count(*) FROM "+migrationsTable+" WHERE error_message IS NULL AND error_sqlstate IS NULL"))
		})
	}
}

func TestFailureDuringAPauseIsNotForgotten(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 100)
	begun, fail := make(chan struct{}), make(chan error)
	var first atomic.Bool
	first.Store(true)
	work := registry.Work{Name: "w", Run: func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
		if first.CompareAndSwap(true, false) {
			close(begun)
			return registry.Result{}, <-fail
		}
		return bumpInGo.Run(ctx, tx, b)
	}}
	start(t, db, works(t, work))
	enqueue(t, db, "w", "batch_size => 100, max_attempts => 1")
	<-begun
	db.Exec(t, "SELECT bbm.pause('m')")
	fail <- errors.New("it did not work out")
	db.WaitFor(t, "SELECT status <> 'running' FROM "+jobsTable)
	require.Equal(t, "paused", pgtest.One[string](t, db, "SELECT status FROM "+migrationsTable))

	// Whoever resumes it wants the rest done: the job is tried again.
	db.Exec(t, "SELECT bbm.resume('m')")
	exactlyOnce(t, db)
}

func TestTransientFailuresDoNotCountAsAttempts(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"40001", "40P01", "55P03", "53200", "08006"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			db := database(t)
			table(t, db, 100)
			db.Exec(t, fmt.Sprintf(`
				CREATE SEQUENCE tries;
				CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$
				BEGIN
				  IF nextval('tries') <= 3 THEN
				    RAISE EXCEPTION 'not now' USING ERRCODE = '%s';
				  END IF;
				  RETURN NEW;
				END $$;
				CREATE TRIGGER fails BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.id = 55) EXECUTE FUNCTION fails()`, code))
			start(t, db, nil)
			enqueue(t, db, "bump", "batch_size => 10, max_attempts => 1")

			exactlyOnce(t, db)
			require.Equal(t, []int{1}, pgtest.Column[int](t, db, "SELECT DISTINCT attempts FROM "+jobsTable))
			require.Equal(t, 3, pgtest.One[int](t, db, "SELECT max(transients) FROM "+jobsTable))
		})
	}
}

func TestStatementTimeoutCounts(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 100)
	g := closeGate(t, db, 55)
	start(t, db, func(o *executor.Options) { o.Settings.StatementTimeout = 200 * 1e6 })
	enqueue(t, db, "bump", "batch_size => 10, max_attempts => 1")
	ends(t, db, "failed")

	require.Contains(t, failure(t, db), "57014")
	require.Contains(t, failure(t, db), "the row with key 55")
	g.open()
	db.Exec(t, "SELECT bbm.retry('m')")
	exactlyOnce(t, db)
}

// A batch that kills its worker is counted, since its start is committed
// beforehand, and it alone: the others of its block keep their one attempt.
func TestI3_BatchThatKillsItsWorkerIsCountedAndNoOther(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 100)
	db.Exec(t, `
		CREATE FUNCTION kills() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
		  PERFORM pg_terminate_backend(pg_backend_pid());
		  RETURN NEW;
		END $$;
		CREATE TRIGGER kills BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.id = 55) EXECUTE FUNCTION kills()`)
	var tookOver atomic.Int64
	r := start(t, db, with(watch(soon), observe(hooks{tookOver: func(n int64) { tookOver.Add(n) }})))
	enqueue(t, db, "bump", "batch_size => 1")
	for crashes := 1; crashes <= 5; crashes++ {
		db.WaitFor(t, "SELECT EXISTS (SELECT FROM "+jobsTable+" WHERE status = 'pending' AND crashes = $1)", crashes)
		require.Equal(t, "running", pgtest.One[string](t, db, "SELECT status FROM "+migrationsTable))
		hurry(t, db)
	}
	ends(t, db, "failed")

	require.Regexp(t, `^4 job \d+ \(keys after 54 up to 55\): gave up: this batch ended its worker's session 5 times`, failure(t, db))
	r.logs("ended its worker's session 5 times")
	require.Equal(t, []string{"55"}, pgtest.Column[string](t, db, "SELECT max_value FROM "+jobsTable+" WHERE crashes > 0"))

	db.Exec(t, "DROP TRIGGER kills ON t; SELECT bbm.retry('m')")
	exactlyOnce(t, db)
	require.Equal(t, []int{1}, pgtest.Column[int](t, db, "SELECT DISTINCT attempts FROM "+jobsTable), "retry counts afresh")
}
