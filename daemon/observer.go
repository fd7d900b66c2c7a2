package daemon

import (
	"slices"
	"sync"
	"time"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/health"
)

// keptMigrations is how many migrations that are not open any more keep their metrics: long
// enough to be scraped, and few enough to bound what a scrape costs.
const keptMigrations = 100

// reporter reports migrations that have failed, and hears of nothing else.
type reporter struct {
	executor.NoObserver

	database  string
	telemetry *telemetry
}

var _ executor.Observer = reporter{}

// MigrationFailed reports a migration that has failed.
func (r reporter) MigrationFailed(f executor.MigrationFailure) {
	r.telemetry.migrationFailed(r.database, f)
}

// observer turns what an executor tells into metrics.
type observer struct {
	reporter

	metrics *health.DatabaseMetrics

	mu    sync.Mutex
	open  map[string]bool // as the last complete scan has seen them
	ended []string        // oldest first
}

var _ executor.Observer = (*observer)(nil)

// Reconciled counts a look.
func (o *observer) Reconciled(byStatus map[string]int, took, wake time.Duration) {
	o.metrics.Up(true)
	o.metrics.Reconciled(took)
	if wake > 0 {
		o.metrics.WokeToReconcile(wake)
	}
	o.metrics.Migrations(byStatus)
}

// ScanFailed counts a look that failed.
func (o *observer) ScanFailed() {
	o.metrics.Up(false)
	o.metrics.ScanFailed()
}

// Listed lets those migrations rest that are open no more, whoever has ended them.
func (o *observer) Listed(open []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.open
	o.open = make(map[string]bool, len(open))
	for _, migration := range open {
		o.open[migration] = true
		delete(before, migration)
	}
	o.ended = slices.DeleteFunc(o.ended, func(migration string) bool { return o.open[migration] })
	for migration := range before {
		o.metrics.Rest(migration)
		o.end(migration)
	}
}

// over reports whether a migration is not open any more, of which somebody may still tell what was.
func (o *observer) over(migration string) bool { return slices.Contains(o.ended, migration) }

// end takes note of a migration that is not open any more.
func (o *observer) end(migration string) {
	if o.over(migration) {
		return
	}
	o.ended = append(o.ended, migration)
	if len(o.ended) > keptMigrations {
		o.metrics.Forget(o.ended[0])
		o.ended = o.ended[1:]
	}
}

// Staffed says how many workers there are.
func (o *observer) Staffed(busy, most int) { o.metrics.Workers(busy, most) }

// Began observes how long it took from an event to workers.
func (o *observer) Began(_ int, wake time.Duration) {
	if wake > 0 {
		o.metrics.WokeToWorker(wake)
	}
}

// Rested removes what only holds of a migration at work.
func (o *observer) Rested(migration string) { o.metrics.Rest(migration) }

// Claimed observes a claim.
func (o *observer) Claimed(_ string, _ int, took time.Duration) { o.metrics.Claimed(took) }

// BatchDone counts a batch.
func (o *observer) BatchDone(migration, outcome string, rows int64, took time.Duration) {
	o.metrics.Batch(migration, outcome, rows, took)
}

// SetBack counts a job that is tried again.
func (o *observer) SetBack(migration string) { o.metrics.Retried(migration) }

// Split counts a job that was cut in two.
func (o *observer) Split(migration string) { o.metrics.Split(migration) }

// Quarantined counts a row that was set aside.
func (o *observer) Quarantined(migration string) { o.metrics.Quarantined(migration) }

// TookOver counts jobs that were taken over.
func (o *observer) TookOver(_ string, jobs int64) { o.metrics.TookOver(int(jobs)) }

// Counted counts keys, and says what size batches have.
func (o *observer) Counted(migration string, c executor.Count) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over(migration) {
		c.BatchSize, c.P90 = 0, 0
	}
	o.metrics.Count(migration, c.Keys, c.BatchSize, c.P90)
}

// Progressed says how far a migration is.
func (o *observer) Progressed(migration string, ratio float64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.over(migration) {
		o.metrics.Progress(migration, ratio)
	}
}

// Throttled says what keeps a migration back.
func (o *observer) Throttled(migration, signal string, duty float64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.over(migration) {
		o.metrics.Throttled(migration, signal, duty)
	}
}

// MigrationEnded counts the end of a migration.
func (o *observer) MigrationEnded(migration, status string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.metrics.MigrationEnded(migration, status)
	o.end(migration)
}
