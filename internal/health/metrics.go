package health

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry returns a registry of its own with what is known of the process:
// the Go runtime, the operating system's view, and bbmd_build_info.
func NewRegistry(version string) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "bbmd_build_info",
		Help:        "1, with the version of bbmd as label.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		build,
	)
	return registry
}

// Metrics are bbmd's own metrics. Their names and labels are stable. Every
// metric of a database has the label database; those of one migration have
// the label migration as well, and go with [DatabaseMetrics.Forget].
//
//	bbmd_listener_connected{database}                     gauge      1 while events can arrive
//	bbmd_listener_reconnects_total{database}              counter    connections opened after the first
//	bbmd_events_total{database,channel}                   counter    notifications received
//	bbmd_reconcile_total{database}                        counter    looks at what may run
//	bbmd_wake_to_reconcile_seconds{database}              histogram  from an event to the look it causes
//	bbmd_claim_duration_seconds{database}                 histogram  claiming a block of jobs
//	bbmd_batches_total{database,migration,outcome}        counter    batches by how they ended
//	bbmd_batch_duration_seconds{database,migration}       histogram  a batch's transaction
//	bbmd_rows_total{database,migration}                   counter    rows that Works reported
//	bbmd_jobs_retried_total{database,migration}           counter    jobs that were put back
//	bbmd_takeovers_total{database}                        counter    jobs taken over from dead owners
//	bbmd_migrations{database,status}                      gauge      migrations by status
//	bbmd_migration_progress_ratio{database,migration}     gauge      0 to 1, of the migrations that run
//	bbmd_migration_duty_ratio{database,migration}         gauge      share of the time that the throttle allows
//	bbmd_schema_up{database}                              gauge      1 while the schema is where the configuration wants it
//	bbmd_schema_runs_total{database,action,outcome}       counter    runs that changed the schema, or tried to
//	bbmd_config_last_reload_successful                    gauge      0 while a broken configuration waits
//	bbmd_config_last_reload_success_timestamp_seconds     gauge      when a configuration was last taken
//
// It is safe for concurrent use.
type Metrics struct {
	listenerConnected  *prometheus.GaugeVec
	listenerReconnects *prometheus.CounterVec
	events             *prometheus.CounterVec
	reconciles         *prometheus.CounterVec
	wakeToReconcile    *prometheus.HistogramVec
	claimDuration      *prometheus.HistogramVec
	batches            *prometheus.CounterVec
	batchDuration      *prometheus.HistogramVec
	rows               *prometheus.CounterVec
	retries            *prometheus.CounterVec
	takeovers          *prometheus.CounterVec
	migrations         *prometheus.GaugeVec
	progress           *prometheus.GaugeVec
	duty               *prometheus.GaugeVec
	schemaUp           *prometheus.GaugeVec
	schemaRuns         *prometheus.CounterVec
	reloadOK           prometheus.Gauge
	reloadTime         prometheus.Gauge
}

// NewMetrics returns Metrics that are registered with r. It panics if r has
// metrics of these names.
func NewMetrics(r prometheus.Registerer) *Metrics {
	f := factory{registerer: r}
	m := &Metrics{
		listenerConnected:  f.gauge("bbmd_listener_connected", "1 while the listener is connected and events can arrive, else 0."),
		listenerReconnects: f.counter("bbmd_listener_reconnects_total", "Connections that the listener has opened after its first."),
		events:             f.counter("bbmd_events_total", "Notifications that arrived, by channel.", "channel"),
		reconciles:         f.counter("bbmd_reconcile_total", "Looks at what may run."),
		wakeToReconcile:    f.histogram("bbmd_wake_to_reconcile_seconds", "Time from an event to the look that it caused.", 10e-6, 16),
		claimDuration:      f.histogram("bbmd_claim_duration_seconds", "Time to claim a block of jobs.", 100e-6, 14),
		batches:            f.counter("bbmd_batches_total", "Batches, by how they ended.", "migration", "outcome"),
		batchDuration:      f.histogram("bbmd_batch_duration_seconds", "Time of a batch's transaction.", 1e-3, 15, "migration"),
		rows:               f.counter("bbmd_rows_total", "Rows that Works reported as processed.", "migration"),
		retries:            f.counter("bbmd_jobs_retried_total", "Jobs that were put back to be tried again.", "migration"),
		takeovers:          f.counter("bbmd_takeovers_total", "Jobs that were taken over from an owner that is dead."),
		migrations:         f.gauge("bbmd_migrations", "Background migrations, by status.", "status"),
		progress:           f.gauge("bbmd_migration_progress_ratio", "Progress of a background migration that runs, 0 to 1.", "migration"),
		duty:               f.gauge("bbmd_migration_duty_ratio", "Share of the time that the throttle leaves to a background migration: 1 for all, 0 while it is held back.", "migration"),
		schemaUp:           f.gauge("bbmd_schema_up", "1 while the schema is where the configuration wants it, else 0."),
		schemaRuns:         f.counter("bbmd_schema_runs_total", "Runs that changed the schema of a database, or tried to, by how they ended.", "action", "outcome"),
		reloadOK:           f.single("bbmd_config_last_reload_successful", "1 if the last look at the configuration was successful, 0 while a broken one waits."),
		reloadTime:         f.single("bbmd_config_last_reload_success_timestamp_seconds", "When a configuration was last taken, in Unix time."),
	}
	m.ConfigReloaded(true)
	return m
}

// ConfigReloaded says whether the last look at the configuration was
// successful.
func (m *Metrics) ConfigReloaded(ok bool) {
	m.reloadOK.Set(number(ok))
	if ok {
		m.reloadTime.SetToCurrentTime()
	}
}

// Database returns the metrics of one database. What can be zero is zero from
// then on, so that a rate has something to start from.
func (m *Metrics) Database(name string) *DatabaseMetrics {
	d := &DatabaseMetrics{name: name, all: m}
	d.ListenerConnected(false)
	m.listenerReconnects.WithLabelValues(name)
	m.reconciles.WithLabelValues(name)
	m.takeovers.WithLabelValues(name)
	m.wakeToReconcile.WithLabelValues(name)
	m.claimDuration.WithLabelValues(name)
	d.Migrations(nil)
	return d
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// factory makes metrics with the label database and registers them.
type factory struct{ registerer prometheus.Registerer }

func (f factory) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, withDatabase(labels))
	f.registerer.MustRegister(v)
	return v
}

func (f factory) counter(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, withDatabase(labels))
	f.registerer.MustRegister(v)
	return v
}

func (f factory) single(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	f.registerer.MustRegister(g)
	return g
}

// histogram has count buckets that double from least seconds on, and a native
// histogram for servers that scrape those.
func (f factory) histogram(name, help string, least float64, count int, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help,
		Buckets:                         prometheus.ExponentialBuckets(least, 2, count),
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: time.Hour,
	}, withDatabase(labels))
	f.registerer.MustRegister(v)
	return v
}

func withDatabase(labels []string) []string { return append([]string{"database"}, labels...) }
