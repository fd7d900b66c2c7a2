package executor_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/throttle"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// throttledBy switches everything off but what change switches on.
func throttledBy(change func(*throttle.Config)) func(*executor.Options) {
	return func(o *executor.Options) {
		c := throttle.Default()
		c.Interval = throttle.Duration(20 * time.Millisecond)
		c.Traffic.Mode, c.Busy.Mode, c.Blocked.Mode, c.ReplicaLag.Mode = throttle.Off, throttle.Off, throttle.Off, throttle.Off
		c.ArchiveBacklog.Mode, c.Autovacuum.Mode, c.Xmin.Mode = throttle.Off, throttle.Off, throttle.Off
		change(&c)
		o.Settings.Throttle = &c
	}
}

func TestThrottleHoldsAMigrationAndLetsItGoOn(t *testing.T) {
	t.Parallel()
	for _, work := range []string{"bump", "bump_in_go"} {
		t.Run(work, func(t *testing.T) {
			t.Parallel()
			db := database(t)
			table(t, db, 1000)
			db.Exec(t, "CREATE TABLE pressure (reason text)")
			r := start(t, db, throttledBy(func(c *throttle.Config) {
				c.Custom = []throttle.Custom{{Name: "pressure", SQL: "SELECT reason FROM public.pressure", Every: throttle.Duration(100 * time.Millisecond)}}
			}))
			enqueue(t, db, work, "batch_size => 1, pause => '2 ms'")
			db.WaitFor(t, "SELECT count(*) > 20 FROM "+jobsTable+" WHERE status = 'finished'")
			db.Exec(t, "INSERT INTO pressure VALUES ('the moon is full')")
			waitsBecause(t, db, "the moon is full")
			db.WaitFor(t, "SELECT NOT EXISTS (SELECT FROM "+jobsTable+" WHERE status = 'running')")
			require.Contains(t, r.log.String(), "migration held back")
			require.Less(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n = 1"), 1000)

			db.Exec(t, "DELETE FROM pressure; UPDATE "+migrationsTable+" SET pause = '0', batch_size = 100")
			exactlyOnce(t, db)
			require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM "+migrationsTable+" WHERE status_reason IS NOT NULL"))
		})
	}
}

func TestThrottleOfTheRowIsLive(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 1000)
	start(t, db, throttledBy(func(*throttle.Config) {}))
	enqueue(t, db, "bump", `batch_size => 200, throttle => '{"duty": 0}'`)
	waitsBecause(t, db, "throttled since")
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n = 1"))
	db.Exec(t, `UPDATE `+migrationsTable+` SET throttle = '{"duty": 0.5}'`)
	exactlyOnce(t, db)
}

// A migration outside of its window leaves the table to others.
func TestClosedWindowLeavesTheTableToOthers(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 100)
	start(t, db, throttledBy(func(*throttle.Config) {}))
	closed := time.Now().UTC().Add(12 * time.Hour)
	db.Exec(t, "SELECT bbm.enqueue('bump', 't', name => 'nightly', throttle => jsonb_build_object('windows', jsonb_build_array($1::text)))",
		closed.Format("15:04")+"-"+closed.Add(time.Minute).Format("15:04")+" UTC")
	db.WaitFor(t, "SELECT status = 'active' AND status_reason LIKE 'throttled since%' FROM "+migrationsTable+" WHERE name = 'nightly'")
	enqueue(t, db, "bump", "")
	ends(t, db, "finished")
	onlyOnce(t, db)
}

func TestBadThrottleOfTheRowFailsTheMigration(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 100)
	start(t, db, throttledBy(func(*throttle.Config) {}))
	enqueue(t, db, "bump", `throttle => '{"dutty": 0.5}'`)
	ends(t, db, "failed")
	require.Contains(t, failure(t, db), "dutty")
}

// Somebody who waits for a lock of the batch is let through before the next one.
func TestBatchesYieldToWhoWaitsForThem(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 2000)
	g := closeGate(t, db, 555)
	r := start(t, db, throttledBy(func(c *throttle.Config) { c.Blocked.Mode = throttle.On }))
	enqueue(t, db, "bump", "batch_size => 100")
	g.reached()
	conn, waited := db.Conn(t), make(chan error, 1)
	go func() {
		_, err := conn.Exec(t.Context(), "SELECT FROM t WHERE id = 540 FOR UPDATE") // of the batch at the gate
		waited <- err
	}()
	r.logs("signal=blocked")
	g.open()
	require.NoError(t, <-waited)
	exactlyOnce(t, db)
}
