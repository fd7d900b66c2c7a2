package daemon

import (
	"sync"
	"time"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/health"
)

// keptMigrations is how many migrations that have ended keep their metrics: long
// enough to be scraped, and few enough to bound what a scrape costs.
const keptMigrations = 100

// observer turns what an executor tells into metrics.
type observer struct {
	metrics *health.DatabaseMetrics

	mu    sync.Mutex
	ended []string // oldest first
}

var _ executor.Observer = (*observer)(nil)

func (o *observer) Reconciled(byStatus map[string]int, _, wake time.Duration) {
	o.metrics.Reconciled()
	if wake > 0 {
		o.metrics.WokeToReconcile(wake)
	}
	o.metrics.Migrations(byStatus)
}

func (o *observer) Claimed(_ string, _ int, took time.Duration) { o.metrics.Claimed(took) }

func (o *observer) BatchDone(migration, outcome string, rows int64, took time.Duration) {
	o.metrics.Batch(migration, outcome, rows, took)
	if outcome == "failed" || outcome == "transient" {
		o.metrics.Retried(migration)
	}
}

func (o *observer) TookOver(_ string, jobs int64) { o.metrics.TookOver(int(jobs)) }

func (o *observer) Progressed(migration string, ratio float64) { o.metrics.Progress(migration, ratio) }

func (o *observer) Throttled(migration string, duty float64) { o.metrics.Duty(migration, duty) }

func (o *observer) MigrationEnded(migration, _ string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = append(o.ended, migration)
	if len(o.ended) > keptMigrations {
		o.metrics.Forget(o.ended[0])
		o.ended = o.ended[1:]
	}
}
