package daemon_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// What a migration leaves in the metrics when it has ended: what was counted, and
// nothing that only holds of one at work.
func TestMetricsOfAMigration(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 100)
	cfg := configFor(t, db)
	cfg.BackgroundMigrations.TargetDuration = 0 // sizes stay
	g := newGate()
	d := start(t, cfg, works(t, g.work()))
	d.waitReady()
	require.Equal(t, 1.0, d.metric(`bbmd_database_up{database="default"}`))
	require.Zero(t, d.metric(`bbmd_workers{database="default"}`))
	enqueue(t, db, "gate", "t", 10)
	g.waitBegun(t)
	d.waitMetric(`bbmd_event_to_worker_seconds_count{database="default"}`, 1) // it is told after the worker has begun
	require.Equal(t, 1.0, d.metric(`bbmd_workers{database="default"}`))
	require.Equal(t, 2.0, d.metric(`bbmd_workers_limit{database="default"}`))
	close(g.open)
	waitFinished(t, db, "t")
	d.waitMetric(`bbmd_migrations_ended_total{database="default",status="finished"}`, 1)
	require.Equal(t, 100.0, d.metric(`bbmd_keys_total{database="default",migration="t"}`))
	require.Equal(t, 100.0, d.metric(`bbmd_rows_total{database="default",migration="t"}`))
	require.Equal(t, 10.0, d.metric(`bbmd_batches_total{database="default",migration="t",outcome="finished"}`))
	require.Equal(t, 10.0, d.metric(`bbmd_batch_duration_seconds_count{database="default",migration="t"}`))
	require.Equal(t, 1.0, d.metric(`bbmd_migration_progress_ratio{database="default",migration="t"}`))
	_, body := d.get("/metrics")
	for _, gone := range []string{"bbmd_batch_size_keys{", "bbmd_batch_p90_seconds{", "bbmd_migration_duty_ratio{", "bbmd_migration_throttled{"} {
		require.NotContains(t, body, gone)
	}
	require.Zero(t, d.metric(`bbmd_workers{database="default"}`))
}

// A plugin that crashes again and again is reported, and is in the metrics.
func TestPluginThatCrashesAgainAndAgainIsReported(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	dsn, posted := fakeSentry(t)
	cfg := configFor(t, db)
	cfg.Sentry.DSN = config.Secret(dsn)
	d := start(t, cfg)
	d.waitReady()
	for _, event := range []string{"start", "crash", "start", "crash", "given_up"} {
		daemon.ProgramEvent(d.Daemon, "geo", event)
	}
	event, _ := next(t, posted)
	require.Equal(t, "plugin crashes again and again", event.Message)
	require.Equal(t, "geo", event.Tags["plugin"])
	require.Equal(t, 2.0, d.metric(`bbmd_plugin_crashes_total{plugin="geo"}`))
	require.Equal(t, 2.0, d.metric(`bbmd_plugin_starts_total{plugin="geo"}`))
	d.log.waitFor(t, `level=ERROR msg="a plugin's programs crash again and again.*plugin=geo`)
	d.stop()
	require.Empty(t, posted)
}
