package health

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// DatabaseMetrics are the metrics of one database. Make it with
// [Metrics.Database]. It is safe for concurrent use.
type DatabaseMetrics struct {
	name string
	all  *Metrics
}

// ListenerConnected says whether events can arrive now.
func (d *DatabaseMetrics) ListenerConnected(connected bool) {
	d.all.listenerConnected.WithLabelValues(d.name).Set(number(connected))
}

// ListenerReconnected counts a connection after the first.
func (d *DatabaseMetrics) ListenerReconnected() {
	d.all.listenerReconnects.WithLabelValues(d.name).Inc()
}

// Event counts a notification. Channel is a name from a fixed set.
func (d *DatabaseMetrics) Event(channel string) {
	d.all.events.WithLabelValues(d.name, channel).Inc()
}

// Reconciled counts a look at what may run.
func (d *DatabaseMetrics) Reconciled() { d.all.reconciles.WithLabelValues(d.name).Inc() }

// WokeToReconcile observes the time from an event to the look that it caused.
func (d *DatabaseMetrics) WokeToReconcile(took time.Duration) {
	d.all.wakeToReconcile.WithLabelValues(d.name).Observe(took.Seconds())
}

// Claimed observes the time that claiming a block of jobs took.
func (d *DatabaseMetrics) Claimed(took time.Duration) {
	d.all.claimDuration.WithLabelValues(d.name).Observe(took.Seconds())
}

// Batch counts a batch and its rows, and observes its duration. Outcome is a
// word from a fixed set, such as finished or failed.
func (d *DatabaseMetrics) Batch(migration, outcome string, rows int64, took time.Duration) {
	d.all.batches.WithLabelValues(d.name, migration, outcome).Inc()
	d.all.rows.WithLabelValues(d.name, migration).Add(float64(max(rows, 0)))
	d.all.batchDuration.WithLabelValues(d.name, migration).Observe(took.Seconds())
}

// Retried counts a job that was put back.
func (d *DatabaseMetrics) Retried(migration string) {
	d.all.retries.WithLabelValues(d.name, migration).Inc()
}

// TookOver counts jobs that were taken over from a dead owner.
func (d *DatabaseMetrics) TookOver(jobs int) {
	d.all.takeovers.WithLabelValues(d.name).Add(float64(max(jobs, 0)))
}

// Migrations says how many migrations have each status. A status that is not
// in counts has none.
func (d *DatabaseMetrics) Migrations(counts map[string]int) {
	for _, status := range []string{"paused", "active", "running", "finished", "failed", "cancelled"} {
		d.all.migrations.WithLabelValues(d.name, status).Set(float64(counts[status]))
	}
}

// Progress says how much of a migration is done, from 0 to 1.
func (d *DatabaseMetrics) Progress(migration string, ratio float64) {
	d.all.progress.WithLabelValues(d.name, migration).Set(min(max(ratio, 0), 1))
}

// Duty says which share of the time the throttle leaves to a migration, from 0 to 1.
func (d *DatabaseMetrics) Duty(migration string, share float64) {
	d.all.duty.WithLabelValues(d.name, migration).Set(share)
}

// SchemaUp says whether the schema is where the configuration wants it. A database
// about whose schema nothing is configured has no such metric.
func (d *DatabaseMetrics) SchemaUp(up bool) {
	d.all.schemaUp.WithLabelValues(d.name).Set(number(up))
}

// SchemaRun counts a run that changed the schema, or tried to. Action and outcome are
// words from fixed sets.
func (d *DatabaseMetrics) SchemaRun(action, outcome string) {
	d.all.schemaRuns.WithLabelValues(d.name, action, outcome).Inc()
}

// Forget removes the metrics of a migration that will not run again.
func (d *DatabaseMetrics) Forget(migration string) {
	labels := prometheus.Labels{"database": d.name, "migration": migration}
	d.all.batches.DeletePartialMatch(labels)
	d.all.rows.DeletePartialMatch(labels)
	d.all.batchDuration.DeletePartialMatch(labels)
	d.all.retries.DeletePartialMatch(labels)
	d.all.progress.DeletePartialMatch(labels)
	d.all.duty.DeletePartialMatch(labels)
}
