package health

import "time"

// Claimed observes the time that claiming a block of jobs took.
func (d *DatabaseMetrics) Claimed(took time.Duration) {
	d.all.work.claimDuration.WithLabelValues(d.name).Observe(took.Seconds())
}

// Batch counts a batch and its rows, and observes its duration. Outcome is a
// word from a fixed set, such as finished or failed.
func (d *DatabaseMetrics) Batch(migration, outcome string, rows int64, took time.Duration) {
	w := &d.all.work
	w.batches.WithLabelValues(d.name, migration, outcome).Inc()
	w.rows.WithLabelValues(d.name, migration).Add(float64(max(rows, 0)))
	w.batchDuration.WithLabelValues(d.name, migration).Observe(took.Seconds())
}

// Count counts keys of finished batches, and says what size the next one has and how
// long the latest took; 0: not known yet.
func (d *DatabaseMetrics) Count(migration string, keys int64, size int32, p90 time.Duration) {
	w := &d.all.work
	w.keys.WithLabelValues(d.name, migration).Add(float64(max(keys, 0)))
	if size > 0 {
		w.batchSize.WithLabelValues(d.name, migration).Set(float64(size))
	}
	if p90 > 0 {
		w.batchP90.WithLabelValues(d.name, migration).Set(p90.Seconds())
	}
}

// Retried counts a job that was put back.
func (d *DatabaseMetrics) Retried(migration string) {
	d.all.work.retries.WithLabelValues(d.name, migration).Inc()
}

// Split counts a job that was cut into two halves.
func (d *DatabaseMetrics) Split(migration string) {
	d.all.work.splits.WithLabelValues(d.name, migration).Inc()
}

// Quarantined counts a row that was set aside.
func (d *DatabaseMetrics) Quarantined(migration string) {
	d.all.work.quarantined.WithLabelValues(d.name, migration).Inc()
}

// Progress says how much of a migration is done, from 0 to 1.
func (d *DatabaseMetrics) Progress(migration string, ratio float64) {
	d.all.work.progress.WithLabelValues(d.name, migration).Set(min(max(ratio, 0), 1))
}

// Throttled says which share of the time the throttle leaves to a migration, from 0 to
// 1, and which signal decided so; empty: none keeps it back.
func (d *DatabaseMetrics) Throttled(migration, signal string, share float64) {
	w := &d.all.work
	w.duty.WithLabelValues(d.name, migration).Set(share)
	w.throttled.DeletePartialMatch(d.labels(migration))
	if signal != "" {
		w.throttled.WithLabelValues(d.name, migration, signal).Set(1)
	}
}

// Plugins says how many plugins of a kind are in a state, both words from fixed sets.
func (m *Metrics) Plugins(kind, state string, count int) {
	m.plugins.WithLabelValues(kind, state).Set(float64(count))
}

// PluginStarted counts a program of a plugin that was started.
func (m *Metrics) PluginStarted(plugin string) { m.pluginStarts.WithLabelValues(plugin).Inc() }

// PluginCrashed counts a program of a plugin that ended badly.
func (m *Metrics) PluginCrashed(plugin string) { m.pluginCrashes.WithLabelValues(plugin).Inc() }

// PluginAnswered counts a task that a program of a plugin has answered.
func (m *Metrics) PluginAnswered(plugin string) { m.pluginTasks.WithLabelValues(plugin).Inc() }

// ForgetPlugin removes the metrics of a plugin that is gone.
func (m *Metrics) ForgetPlugin(plugin string) {
	m.pluginStarts.DeleteLabelValues(plugin)
	m.pluginCrashes.DeleteLabelValues(plugin)
	m.pluginTasks.DeleteLabelValues(plugin)
}
