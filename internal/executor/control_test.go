package executor_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func setStatus(t *testing.T, db *pgtest.Database, status string) {
	t.Helper()
	db.Exec(t, "UPDATE "+migrationsTable+" SET status = $1 WHERE name = 'm'", status)
}

func TestPauseAndResumeInTheMiddle(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 1000)
		g := closeGate(t, db, 333)
		heard := make(chan struct{}, 100)
		start(t, db, with(watch(never), observe(hooks{reconciled: func(byStatus map[string]int) {
			if byStatus["running"] == 0 {
				select {
				case heard <- struct{}{}:
				default:
				}
			}
		}})))
		enqueue(t, db, work, "batch_size => 10")
		g.reached()
		for len(heard) > 0 {
			<-heard // it had not begun
		}
		setStatus(t, db, "paused")
		<-heard
		g.open()
		idle(t, db)
		done := pgtest.One[int](t, db, "SELECT sum(n) FROM t")
		require.LessOrEqual(t, done, 350, "what was sent may finish: two batches")
		require.Equal(t, done, 10*pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE status = 'finished'"))
		db.Exec(t, "NOTIFY bbm_new") // nobody works on what is paused
		<-heard
		idle(t, db)
		require.Equal(t, done, pgtest.One[int](t, db, "SELECT sum(n) FROM t"))

		setStatus(t, db, "active")
		exactlyOnce(t, db)
		require.Equal(t, []int{1}, pgtest.Column[int](t, db, "SELECT DISTINCT attempts FROM "+jobsTable))
		require.Equal(t, []string{"active", "running", "paused", "active", "running", "finished"}, pgtest.Column[string](t, db, "SELECT to_status FROM bbm.transitions ORDER BY id"))
	})
}

// Paused and resumed before the worker has looked up from its batch.
func TestPauseThatNobodyNoticed(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 1000)
		g := closeGate(t, db, 333)
		start(t, db, watch(never))
		enqueue(t, db, work, "batch_size => 10")
		g.reached()
		for range 3 {
			setStatus(t, db, "paused")
			setStatus(t, db, "active")
		}
		g.open()

		exactlyOnce(t, db)
	})
}

// After a cancel has committed no batch begins: of the two that were sent, the
// one under way may finish, the other finds out at its fence.
func TestH6_NothingBeginsAfterACancel(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 1000)
		g := closeGate(t, db, 333)
		r := start(t, db, watch(never))
		enqueue(t, db, work, "batch_size => 10")
		g.reached()
		setStatus(t, db, "cancelled")
		g.open()
		idle(t, db)
		r.stop()

		require.LessOrEqual(t, pgtest.One[int](t, db, "SELECT sum(n) FROM t"), 340)
		require.Equal(t, 10*pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE status = 'finished'"), pgtest.One[int](t, db, "SELECT sum(n) FROM t"))
		require.Equal(t, "cancelled", pgtest.One[string](t, db, "SELECT status FROM bbm.progress"))
		require.NotContains(t, r.log.String(), "level=WARN", "a cancel is nothing to be warned of")
		db.Exec(t, "DELETE FROM "+migrationsTable)
		require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable))
	})
}

// A migration whose owner died is not at work, whatever its jobs say.
func TestCancelledMigrationOfADeadOwnerCanBeDeleted(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 1000)
	g := closeGate(t, db, 333)
	r := start(t, db, nil)
	enqueue(t, db, "bump", "batch_size => 10")
	g.reached()
	_, err := db.Conn(t).Exec(t.Context(), "DELETE FROM "+migrationsTable)
	require.ErrorContains(t, err, "cannot be deleted while it may be at work")
	setStatus(t, db, "cancelled")
	_, err = db.Conn(t).Exec(t.Context(), "DELETE FROM "+migrationsTable)
	require.ErrorContains(t, err, "cannot be deleted while it may be at work")
	r.kill()
	g.open()
	db.WaitFor(t, "SELECT NOT EXISTS (SELECT FROM pg_locks WHERE classid IN (7701, 7703) AND "+mine+")")
	require.NotZero(t, pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE status = 'running'"))

	db.Exec(t, "DELETE FROM "+migrationsTable)
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable))
}

func TestKnobsChangeInTheMiddle(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 8000)
		g := closeGate(t, db, 333)
		start(t, db, with(workers(4), watch(never)))
		enqueue(t, db, work, "batch_size => 10")
		g.reached()
		db.Exec(t, "UPDATE "+migrationsTable+" SET batch_size = 50, parallelism = 3")
		db.WaitFor(t, "SELECT count(*) = 3 FROM ("+batchSessions+") s")
		g.open()

		exactlyOnce(t, db)
		sizes := pgtest.Column[int](t, db, "SELECT DISTINCT batch_size FROM "+jobsTable+" WHERE max_value <> '8000' ORDER BY 1")
		require.Equal(t, []int{10, 50}, sizes)
		require.Less(t, pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE batch_size = 10"), 400, "no more than what was claimed already, or sent to be")
		require.Equal(t, 8000, pgtest.One[int](t, db, "SELECT sum(batch_size) FROM "+jobsTable), "the last batch counts what it has")
	})
}

// parallelism counts over all replicas: lowered, the workers beyond it end, wherever they are.
func TestParallelismIsLoweredInTheMiddle(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 400)
	at, release := make(chan struct{}, 1000), make(chan struct{})
	goOn := sync.OnceFunc(func() { close(release) })
	work := goWork(func(context.Context, pgx.Tx, registry.Batch) error {
		at <- struct{}{}
		<-release
		return nil
	})
	for range 2 {
		start(t, db, with(works(t, work), workers(2), watch(never)))
	}
	t.Cleanup(goOn)
	enqueue(t, db, "w", "batch_size => 1, parallelism => 4")
	for range 4 {
		<-at
	}
	require.Equal(t, 4, pgtest.One[int](t, db, "SELECT count(*) FROM ("+batchSessions+") s"))
	db.Exec(t, "UPDATE "+migrationsTable+" SET parallelism = 1")
	// One batch after the other, until the workers have heard of it.
	for pgtest.One[int](t, db, "SELECT count(*) FROM ("+batchSessions+") s") > 1 {
		select {
		case release <- struct{}{}:
		default:
		}
	}
	require.NotZero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n = 0"), "it is not simply over")
	goOn()

	exactlyOnce(t, db)
}

func TestTwoReplicasShareAMigration(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 4000)
		g := closeGate(t, db, 3)
		var shares [2]atomic.Int32
		for i := range shares {
			start(t, db, with(workers(2), watch(never), observe(hooks{batchDone: func(string) { shares[i].Add(1) }})))
		}
		enqueue(t, db, work, "batch_size => 10, parallelism => 4")
		g.reached()
		db.WaitFor(t, "SELECT count(*) = 4 FROM ("+batchSessions+") s")
		g.open()

		exactlyOnce(t, db)
		require.Positive(t, shares[0].Load())
		require.Positive(t, shares[1].Load())
		require.EqualValues(t, 400, shares[0].Load()+shares[1].Load())
		require.Equal(t, 4000, pgtest.One[int](t, db, "SELECT keys_done FROM bbm.progress"))
	})
}

func TestRetryWhileOthersStillRun(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 400)
		poison(t, db, 205)
		start(t, db, with(workers(3), watch(never)))
		enqueue(t, db, work, "batch_size => 1, parallelism => 3, max_attempts => 1")
		ends(t, db, "failed")
		require.Contains(t, failure(t, db), "key 205")
		cure(t, db, 205)
		db.Exec(t, "SELECT bbm.retry('m')")
		exactlyOnce(t, db)
	})
}

// The wish of several people at once leads to one of the states that they asked for.
func TestRandomControl(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 3000)
		for range 2 {
			start(t, db, with(workers(2), watch(soon)))
		}
		enqueue(t, db, work, "batch_size => 20")
		for i := range 30 {
			db.Exec(t, fmt.Sprintf(`DO $$ BEGIN
				CASE %d %% 5
				WHEN 0 THEN PERFORM bbm.pause('m');
				WHEN 1, 3 THEN PERFORM bbm.resume('m');
				WHEN 2 THEN UPDATE %[2]s SET parallelism = 1 + %[1]d %% 4, batch_size = 5 + %[1]d;
				WHEN 4 THEN NOTIFY bbm_new; END CASE;
				EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; -- it has finished
				END $$`, i, migrationsTable))
		}
		db.Exec(t, "SELECT bbm.resume('m') FROM "+migrationsTable+" WHERE status = 'paused'")

		exactlyOnce(t, db)
	})
}

// Switched off, it finishes what it has in hand, gives the rest back, and tells the others.
func TestSwitchedOffInTheMiddle(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 1000)
	g := closeGate(t, db, 333)
	r := start(t, db, watch(never))
	enqueue(t, db, "bump", "batch_size => 10")
	g.reached()
	settings := executor.DefaultSettings()
	settings.Enabled, settings.TakeoverInterval = false, never
	r.Configure(settings)
	g.open()
	idle(t, db)
	require.Equal(t, "running", pgtest.One[string](t, db, "SELECT status FROM bbm.progress"))
	settings.Enabled = true
	r.Configure(settings)

	exactlyOnce(t, db)
}

// Neither a claim nor a batch writes to the migration's row, or waits for who does.
func TestH19_BatchesDoNotQueueForTheMigrationsRow(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 1000)
		g := closeGate(t, db, 3)
		start(t, db, nil)
		enqueue(t, db, work, "batch_size => 10")
		g.reached()
		tx, err := db.Conn(t).Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "SELECT FROM "+migrationsTable+" FOR UPDATE")
		require.NoError(t, err)
		g.open()
		db.WaitFor(t, "SELECT count(*) = 100 FROM "+jobsTable+" WHERE status = 'finished'")
		require.NoError(t, tx.Rollback(t.Context()))

		exactlyOnce(t, db)
	})
}
