package executor_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// The worker dies with a block of jobs in hand, one of them under way. The
// others are nobody's fault: each is tried alone once, and was tried once.
func TestH4_InnocentsOfABlockKeepOneAttempt(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 2000)
		g := closeGate(t, db, 1111)
		start(t, db, watch(soon))
		enqueue(t, db, work, "batch_size => 10")
		for range 3 {
			g.reached()
			require.NotZero(t, terminate(t, db, batchSessions))
		}
		g.open()

		exactlyOnce(t, db)
		require.Equal(t, []int{1}, pgtest.Column[int](t, db, "SELECT DISTINCT attempts - crashes FROM "+jobsTable))
		require.Equal(t, []string{"1120"}, pgtest.Column[string](t, db, "SELECT max_value FROM "+jobsTable+" WHERE crashes > 0"), "only what was claimed alone is counted")
	})
}

// Whoever is on hand when workers die is not to blame: only rows that fail by
// themselves are set aside, however many sessions end while others are tried alone.
func TestH4b_OnlyPoisonIsSetAside(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 2000)
		poison(t, db, 7, 1200, 1201, 1999)
		for range 2 {
			start(t, db, with(workers(2), watch(soon)))
		}
		enqueue(t, db, work, "batch_size => 50, parallelism => 4, max_attempts => 2, max_quarantined => 4")
		killer := db.Superuser(t).Conn(t)
		for range 12 {
			db.WaitFor(t, "SELECT (SELECT status = 'finished' FROM "+migrationsTable+") OR EXISTS ("+batchSessions+")")
			_, err := killer.Exec(t.Context(), fmt.Sprintf("SELECT pg_terminate_backend(pid) FROM (%s) s ORDER BY random() LIMIT 1", batchSessions))
			require.NoError(t, err)
			hurry(t, db)
		}
		for pgtest.One[string](t, db, "SELECT status FROM "+migrationsTable) == "running" {
			hurry(t, db)
			db.WaitFor(t, "SELECT (SELECT status <> 'running' FROM "+migrationsTable+") OR EXISTS (SELECT FROM "+jobsTable+" WHERE status = 'pending' AND next_attempt_at > clock_timestamp())")
		}
		ends(t, db, "finished")

		require.Equal(t, []int{7, 1200, 1201, 1999}, pgtest.Column[int](t, db, "SELECT id FROM t WHERE n <> 1 ORDER BY id"))
		require.Equal(t, []int{7, 1200, 1201, 1999}, pgtest.Column[int](t, db, "SELECT key::int FROM bbm.quarantine ORDER BY 1"))
		tiles(t, db)
	})
}

func TestH11_SessionsAreKilledAtRandom(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ create, work string }{
		"bigint":    {"CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT generate_series(1, 6000)", "bump"},
		"go":        {"CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT generate_series(1, 6000)", "bump_in_go"},
		"uuid":      {"CREATE TABLE t (id uuid PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT gen_random_uuid() FROM generate_series(1, 6000)", "bump"},
		"composite": {"CREATE TABLE t (a text, b int, n int NOT NULL DEFAULT 0, PRIMARY KEY (a, b)); INSERT INTO t SELECT 'k' || i % 13, i FROM generate_series(1, 6000) i", "bump_in_go"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := database(t)
			db.Exec(t, c.create)
			for range 2 {
				start(t, db, with(workers(2), watch(soon)))
			}
			enqueue(t, db, c.work, "batch_size => 100, parallelism => 4")
			db.WaitFor(t, "SELECT status = 'running' FROM "+migrationsTable)
			killer := db.Superuser(t).Conn(t)
			for range 8 {
				// As soon as there is a batch, whichever session it is.
				db.WaitFor(t, "SELECT (SELECT status <> 'running' FROM "+migrationsTable+") OR EXISTS ("+batchSessions+")")
				_, err := killer.Exec(t.Context(), fmt.Sprintf(
					"SELECT pg_terminate_backend(pid) FROM (%s UNION %s) s ORDER BY random() LIMIT %d", batchSessions, aheadSessions, 1+rand.IntN(2)))
				require.NoError(t, err)
			}

			exactlyOnce(t, db)
			require.Equal(t, []int{1}, pgtest.Column[int](t, db, "SELECT DISTINCT attempts - crashes FROM "+jobsTable))
		})
	}
}

// A replica is frozen, loses its sessions, and wakes up after everything is done by another.
func TestH12c_FrozenReplicaWakesUpTooLate(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 1000)
		g := closeGate(t, db, 555)
		first := start(t, db, workers(2))
		enqueue(t, db, work, "batch_size => 10, parallelism => 4")
		g.reached()
		first.process.freeze()
		start(t, db, with(workers(2), watch(soon)))
		// As idle_session_timeout and keepalives do in the end.
		terminate(t, db, "SELECT pid FROM pg_locks WHERE classid = 7703 AND "+mine+" UNION "+aheadSessions)
		g.open()
		exactlyOnce(t, db)

		first.process.thaw()
		first.stop()
		onlyOnce(t, db)
	})
}

// The owner's lock is lost and its session lives: another takes its jobs, and
// the fence keeps what the first still holds from being done again.
func TestFenceStopsAnOwnerThatLostItsLock(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 1000)
	// Blocks are claimed while the lock is there; it is gone when the batch at the gate runs.
	db.Exec(t, `CREATE FUNCTION unlock() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
		  IF OLD.id = 554 THEN PERFORM pg_advisory_unlock_all(); END IF;
		  RETURN NEW;
		END $$; CREATE TRIGGER a_first BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION unlock()`)
	g := closeGate(t, db, 555)
	first := start(t, db, watch(never))
	enqueue(t, db, "bump", "batch_size => 10")
	g.reached()
	tookOver := make(chan int64, 10)
	second := start(t, db, with(watch(soon), observe(hooks{tookOver: func(jobs int64) { tookOver <- jobs }})))
	require.NotZero(t, <-tookOver)
	// The other one does all that it took but the batch under way, whose rows are locked.
	db.WaitFor(t, "SELECT count(*) = 1 FROM "+jobsTable+" WHERE status <> 'finished'")
	g.open()
	exactlyOnce(t, db)

	// By the fence of a batch, or of a claim where one came first.
	require.Contains(t, first.log.String(), "a job was not this worker's any more")
	require.NotContains(t, second.log.String(), "not this worker's any more")
}

func TestH16_ManyOwnersAreDeadAtOnce(t *testing.T) {
	t.Parallel()
	db := database(t)
	m := running(t, db, 2000)
	conn := db.Conn(t)
	for owner := range 200 {
		n, err := claim(t, conn, m, 1000+owner, 10, 1)
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
	}
	var tookOver atomic.Int64
	start(t, db, with(workers(1), watch(never), observe(hooks{tookOver: func(n int64) { tookOver.Add(n) }})))

	exactlyOnce(t, db)
	require.EqualValues(t, 200, tookOver.Load())
}

// The last committer dies before it says that the migration has finished, and
// the other replica had nothing to do: it is awake all the same.
func TestH17_LastCommitterDiesBeforeItFinishes(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 500)
		var first atomic.Pointer[replica]
		var batches atomic.Int32
		begun, ready := make(chan struct{}), make(chan struct{})
		first.Store(start(t, db, observe(hooks{batchDone: func(string) {
			switch batches.Add(1) {
			case 1:
				close(begun) // nobody else has a place now
				<-ready
			case 50:
				first.Load().process.kill()
			}
		}})))
		enqueue(t, db, work, "batch_size => 10")
		<-begun
		finished := make(chan string, 1)
		start(t, db, with(watch(soon), observe(hooks{ended: func(status string) { finished <- status }})))
		close(ready)

		select {
		case status := <-finished:
			require.Equal(t, "finished", status)
		case <-time.After(2 * time.Minute):
			require.FailNow(t, "the other replica does not finish it")
		}
		exactlyOnce(t, db)
	})
}

// The owner dies when all of its block is done and the next is not claimed:
// there is no running job whose owner could be found dead.
func TestH17_OwnerDiesBetweenTwoBlocks(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 500)
		g := closeGate(t, db, 5)
		first := start(t, db, watch(never))
		enqueue(t, db, work, "batch_size => 10")
		g.reached()
		holder := db.Conn(t)
		_, err := holder.Exec(t.Context(), "SELECT pg_advisory_lock(7702, id) FROM "+migrationsTable)
		require.NoError(t, err)
		second := start(t, db, watch(soon)) // its place is taken
		g.open()
		db.WaitFor(t, "SELECT NOT EXISTS (SELECT FROM "+jobsTable+" WHERE status <> 'finished')")
		first.kill()
		require.Equal(t, "running", pgtest.One[string](t, db, "SELECT status FROM "+migrationsTable))
		require.NotContains(t, second.log.String(), "migration running")
		_, err = holder.Exec(t.Context(), "SELECT pg_advisory_unlock_all()")
		require.NoError(t, err)

		exactlyOnce(t, db)
	})
}

// A replica that is stopped says so: no other has to wait for its timer.
func TestCleanStopHandsOverAtOnce(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 1000)
		g := closeGate(t, db, 555)
		first := start(t, db, watch(never))
		enqueue(t, db, work, "batch_size => 10")
		g.reached()
		start(t, db, watch(never))
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			first.stop()
		}()
		db.WaitFor(t, "SELECT true") // a round trip: the stop is under way
		g.open()
		<-stopped

		exactlyOnce(t, db)
		require.Equal(t, []int{1}, pgtest.Column[int](t, db, "SELECT DISTINCT attempts FROM "+jobsTable))
		require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE crashes + transients > 0"))
	})
}

// A batch that does not end within the grace is cancelled, and its job handed over.
func TestStopBeyondTheGraceLosesNothing(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 200)
	begun := make(chan struct{}, 1)
	patient := registry.Work{Name: "w", Run: func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
		result, err := bumpInGo.Run(ctx, tx, b)
		begun <- struct{}{}
		<-ctx.Done()
		return result, err
	}}
	first := start(t, db, with(works(t, patient), watch(never), grace(10*time.Millisecond)))
	enqueue(t, db, "w", "batch_size => 10")
	<-begun
	first.stop()
	first.logs("did not finish in time")
	swift := bumpInGo
	swift.Name = "w"
	start(t, db, with(works(t, swift), watch(soon)))

	exactlyOnce(t, db)
}
