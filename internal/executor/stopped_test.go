package executor_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

const (
	nothingRuns = "SELECT NOT EXISTS (SELECT FROM " + jobsTable + " WHERE status = 'running')"
	settled     = "SELECT NOT EXISTS (SELECT FROM " + migrationsTable + " WHERE unsettled)"
)

// looksIn returns when a replica looks next that has logged that: 0s, not before an event.
func looksIn(log string) string {
	_, in, _ := strings.Cut(log[max(strings.LastIndex(log, "looked for work"), 0):], "look_in=")
	in, _, _ = strings.Cut(in, "\n")
	return in
}

// rests waits until a replica has looked, and will not do so again before an event.
func (r *replica) rests() {
	r.t.Helper()
	patience := time.After(2 * time.Minute)
	for {
		all, grown := r.log.read()
		if looksIn(all) == "0s" {
			return
		}
		select {
		case <-grown:
		case <-patience:
			require.Equal(r.t, "0s", looksIn(all))
		}
	}
}

// counts returns an observer that counts looks, and jobs that were taken over.
func counts() (h hooks, looks, tookOver *atomic.Int64) {
	looks, tookOver = new(atomic.Int64), new(atomic.Int64)
	h.reconciled = func(map[string]int) { looks.Add(1) }
	h.tookOver = func(jobs int64) { tookOver.Add(jobs) }
	return h, looks, tookOver
}

// looked waits until a replica has looked so often from now on.
func looked(t *testing.T, db *pgtest.Database, looks *atomic.Int64, times int64) {
	t.Helper()
	conn := db.Conn(t)
	for until := looks.Load() + times; looks.Load() < until; {
		_, err := conn.Exec(t.Context(), "SELECT pg_sleep(0.01)") // as WaitFor does
		require.NoError(t, err)
	}
}

// die kills a replica, and waits until its sessions have ended, as keepalives see to in the end.
func die(t *testing.T, db *pgtest.Database, r *replica) {
	t.Helper()
	r.kill()
	terminate(t, db, batchSessions+" UNION "+aheadSessions)
}

// A worker dies, and before anybody has noticed its migration is paused: whoever waits that nothing runs any more does so in vain
// unless its jobs are taken over all the same. There is no event but the pause.
func TestWhatTheDeadLeftIsTakenOverFromAPausedMigration(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 1000)
		g := closeGate(t, db, 555)
		first := start(t, db, watch(never))
		enqueue(t, db, work, "batch_size => 10")
		g.reached()
		h, _, tookOver := counts()
		second := start(t, db, with(watch(never), observe(h)))
		second.logs("looked for work")
		die(t, db, first)
		left := pgtest.One[int64](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE status = 'running'")
		require.Positive(t, left)
		db.Exec(t, "SELECT bbm.pause('m')")

		db.WaitFor(t, nothingRuns)
		db.WaitFor(t, settled)
		require.Equal(t, left, tookOver.Load())
		require.Contains(t, second.log.String(), "took over the jobs of a dead worker")
		require.Equal(t, "paused", pgtest.One[string](t, db, "SELECT status FROM "+migrationsTable))
		g.open()
		db.Exec(t, "SELECT bbm.resume('m')")
		exactlyOnce(t, db)
	})
}

// The worker dies after the pause, at its last batch: that is no event, and others look after it until it has ended.
func TestAWorkerThatDiesAfterThePauseIsTakenOverFrom(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 1000)
		g := closeGate(t, db, 555)
		first := start(t, db, watch(never))
		enqueue(t, db, work, "batch_size => 10")
		g.reached()
		h, looks, tookOver := counts()
		start(t, db, with(watch(soon), observe(h)))
		db.Exec(t, "SELECT bbm.pause('m')")
		looked(t, db, looks, 3)
		require.Zero(t, tookOver.Load(), "it lives")
		die(t, db, first)

		db.WaitFor(t, nothingRuns)
		require.Positive(t, tookOver.Load())
		g.open()
		db.Exec(t, "SELECT bbm.resume('m')")
		exactlyOnce(t, db)
	})
}

// A worker that is at its last batches keeps its jobs, and nobody looks again once it has ended them.
func TestTheJobsOfTheLivingStayTheirsWhenAMigrationIsPaused(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 1000)
		g := closeGate(t, db, 555)
		h, _, tookOver := counts()
		first := start(t, db, with(watch(soon), observe(h)))
		enqueue(t, db, work, "batch_size => 10")
		g.reached()
		h, looks, others := counts()
		second := start(t, db, with(watch(soon), observe(h)))
		second.logs("looked for work")
		const jobs = "SELECT id * 100000 + owner FROM " + jobsTable + " WHERE status = 'running' ORDER BY 1"
		db.Exec(t, "SELECT bbm.pause('m')")
		first.logs("worker is told to stop")
		theirs := pgtest.Column[int64](t, db, jobs)
		looked(t, db, looks, 4)
		require.Equal(t, theirs, pgtest.Column[int64](t, db, jobs))
		require.Equal(t, soon.String(), looksIn(second.log.String()))
		g.open()
		idle(t, db)
		db.WaitFor(t, settled)

		require.Zero(t, tookOver.Load()+others.Load())
		first.rests()
		second.rests()
		db.Exec(t, "SELECT bbm.resume('m')")
		exactlyOnce(t, db)
	})
}

// Who died while there was no other replica is found by the first look of the next, which has no reason for a second.
func TestWhatTheDeadLeftInWhatWasStoppedIsFoundAtTheStart(t *testing.T) {
	t.Parallel()
	for _, status := range []string{"paused", "failed", "cancelled"} {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			db := database(t)
			m := running(t, db, 1000)
			conn := db.Conn(t)
			for owner := range 5 {
				n, err := claim(t, conn, m, 1000+owner, 10, 4)
				require.NoError(t, err)
				require.EqualValues(t, 4, n)
			}
			setStatus(t, db, status)
			h, looks, tookOver := counts()
			r := start(t, db, with(watch(soon), observe(h)))

			db.WaitFor(t, settled)
			r.rests()
			require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE status <> 'pending'"))
			require.EqualValues(t, 20, tookOver.Load())
			require.LessOrEqual(t, looks.Load(), int64(2)) // it may have begun to listen after the first
			if status != "cancelled" {
				setStatus(t, db, "active")
				exactlyOnce(t, db)
			}
		})
	}
}

// Where a stopped migration cannot be settled, for want of a right or because of somebody's trigger, all others go on, and the log says it once.
func TestWhatCannotBeSettledKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	db := database(t)
	m := running(t, db, 1000)
	n, err := claim(t, db.Conn(t), m, 1000, 10, 4)
	require.NoError(t, err)
	require.EqualValues(t, 4, n)
	setStatus(t, db, "paused")
	db.Exec(t, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not by you'; END $$;
		CREATE TRIGGER refuse BEFORE UPDATE OF unsettled ON `+migrationsTable+` FOR EACH ROW EXECUTE FUNCTION refuse();
		CREATE TABLE u (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO u SELECT generate_series(1, 100)`)
	h, looks, _ := counts()
	r := start(t, db, with(watch(soon), observe(h)))
	db.Exec(t, "SELECT bbm.enqueue('bump', 'u', name => 'other')")
	db.WaitFor(t, "SELECT status = 'finished' FROM "+migrationsTable+" WHERE name = 'other'")
	db.WaitFor(t, nothingRuns)
	looked(t, db, looks, 3)
	require.Equal(t, 1, strings.Count(r.log.String(), "stopped migration not settled"))
	db.Exec(t, "DROP TRIGGER refuse ON "+migrationsTable)
	db.WaitFor(t, settled)
}
