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

// Up says whether the database could be reached.
func (d *DatabaseMetrics) Up(up bool) { d.all.databaseUp.WithLabelValues(d.name).Set(number(up)) }

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

// Reconciled counts a look at what may run, and observes the time of its scan.
func (d *DatabaseMetrics) Reconciled(took time.Duration) {
	d.all.reconciles.WithLabelValues(d.name).Inc()
	d.all.reconcileDuration.WithLabelValues(d.name).Observe(took.Seconds())
}

// ScanFailed counts a look at what may run that failed.
func (d *DatabaseMetrics) ScanFailed() { d.all.scanErrors.WithLabelValues(d.name).Inc() }

// WokeToReconcile observes the time from an event to the look that it caused.
func (d *DatabaseMetrics) WokeToReconcile(took time.Duration) {
	d.all.wakeToReconcile.WithLabelValues(d.name).Observe(took.Seconds())
}

// WokeToWorker observes the time from an event to the begin of the workers that it caused.
func (d *DatabaseMetrics) WokeToWorker(took time.Duration) {
	d.all.eventToWorker.WithLabelValues(d.name).Observe(took.Seconds())
}

// Workers says how many workers are at work, and how many may be.
func (d *DatabaseMetrics) Workers(busy, most int) {
	d.all.workers.WithLabelValues(d.name).Set(float64(busy))
	d.all.workersLimit.WithLabelValues(d.name).Set(float64(most))
}

// TookOver counts jobs that were taken over from a dead owner.
func (d *DatabaseMetrics) TookOver(jobs int) {
	d.all.takeovers.WithLabelValues(d.name).Add(float64(max(jobs, 0)))
}

// Migrations says how many migrations are open, by status. A status that is not
// in counts has none.
func (d *DatabaseMetrics) Migrations(counts map[string]int) {
	for _, status := range []string{"active", "running"} {
		d.all.migrations.WithLabelValues(d.name, status).Set(float64(counts[status]))
	}
}

// SchemaUp says whether the schema is where the configuration wants it. A database
// about whose schema nothing is configured has no such metric.
func (d *DatabaseMetrics) SchemaUp(up bool) {
	d.all.schemaUp.WithLabelValues(d.name).Set(number(up))
}

// SchemaRun counts a run that changed the schema, or tried to, and observes its time.
// Action and outcome are words from fixed sets.
func (d *DatabaseMetrics) SchemaRun(action, outcome string, took time.Duration) {
	d.all.schemaRuns.WithLabelValues(d.name, action, outcome).Inc()
	d.all.schemaRunDuration.WithLabelValues(d.name, action).Observe(took.Seconds())
}

// MigrationEnded counts a migration that has ended, and removes what only holds of
// one at work. Status is finished or failed.
func (d *DatabaseMetrics) MigrationEnded(migration, status string) {
	d.all.ended.WithLabelValues(d.name, status).Inc()
	if status == "finished" {
		d.Progress(migration, 1)
	}
	d.Rest(migration)
}

// Rest removes what only holds of a migration at work: its sizes, and the throttle.
func (d *DatabaseMetrics) Rest(migration string) {
	labels, w := d.labels(migration), &d.all.work
	for _, gauge := range []*prometheus.GaugeVec{w.batchSize, w.batchP90, w.duty, w.throttled} {
		gauge.DeletePartialMatch(labels)
	}
}

// Forget removes the metrics of a migration that will not run again.
func (d *DatabaseMetrics) Forget(migration string) {
	d.Rest(migration)
	labels, w := d.labels(migration), &d.all.work
	for _, counter := range []*prometheus.CounterVec{w.batches, w.rows, w.keys, w.retries, w.splits, w.quarantined} {
		counter.DeletePartialMatch(labels)
	}
	w.batchDuration.DeletePartialMatch(labels)
	w.progress.DeletePartialMatch(labels)
}

func (d *DatabaseMetrics) labels(migration string) prometheus.Labels {
	return prometheus.Labels{"database": d.name, "migration": migration}
}
