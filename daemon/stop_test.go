package daemon_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestStopDrains(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 1000)
	gate := newGate()
	d := start(t, configFor(t, db), works(t, gate.work()))
	enqueueWhenReady(t, d, db)
	gate.waitBegun(t)

	d.cancel(errStopped)
	d.waitAnswer("/readyz", http.StatusServiceUnavailable, "bbmd is stopping")
	d.requireAlive()
	close(gate.open)
	d.stop()
	require.Equal(t, 100, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n = 1"), "the running batch has finished, and no other began")
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.batched_background_migration_jobs WHERE status = 'running'"))

	start(t, configFor(t, db), works(t, gate.work()))
	waitFinished(t, db, "t")
}

func TestStopCancelsWhatDoesNotFinish(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 1000)
	gate := newGate()
	cfg := configFor(t, db)
	cfg.ShutdownGrace = 50 * time.Millisecond
	d := start(t, cfg, works(t, gate.work()))
	enqueueWhenReady(t, d, db)
	gate.waitBegun(t)
	d.stop()
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n <> 0"))

	close(gate.open)
	start(t, configFor(t, db), works(t, gate.work()))
	waitFinished(t, db, "t")
}

// TestAStoppedReplicaHandsOver shows that another replica goes on at once.
func TestAStoppedReplicaHandsOver(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 1000)
	first, second := newGate(), newGate()
	close(second.open)
	cfg := configFor(t, db)
	cfg.BackgroundMigrations.TakeoverInterval = 10 * time.Minute // nobody is to look by himself
	d := start(t, cfg, works(t, first.work()))
	enqueueWhenReady(t, d, db)
	first.waitBegun(t)
	other := start(t, cfg, works(t, second.work()))
	other.waitReady()
	close(first.open)
	d.stop()
	waitFinished(t, db, "t")
}

func enqueueWhenReady(t *testing.T, d *instance, db *pgtest.Database) {
	t.Helper()
	d.waitReady()
	enqueue(t, db, "gate", "t", 100)
}
