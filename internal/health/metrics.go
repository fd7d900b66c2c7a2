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

// Metrics are bbmd's own metrics. Their names and labels are stable; docs/metrics.md
// lists them. Every metric of a database has the label database; those of one
// migration have the label migration as well, and go with [DatabaseMetrics.Forget].
//
// It is safe for concurrent use.
type Metrics struct {
	databaseUp         *prometheus.GaugeVec
	listenerConnected  *prometheus.GaugeVec
	listenerReconnects *prometheus.CounterVec
	streams            *streams
	events             *prometheus.CounterVec
	reconciles         *prometheus.CounterVec
	scanErrors         *prometheus.CounterVec
	reconcileDuration  *prometheus.HistogramVec
	wakeToReconcile    *prometheus.HistogramVec
	eventToWorker      *prometheus.HistogramVec
	workers            *prometheus.GaugeVec
	workersLimit       *prometheus.GaugeVec
	takeovers          *prometheus.CounterVec
	migrations         *prometheus.GaugeVec
	ended              *prometheus.CounterVec
	schemaUp           *prometheus.GaugeVec
	schemaRuns         *prometheus.CounterVec
	schemaRunDuration  *prometheus.HistogramVec
	work               workMetrics
	plugins            *prometheus.GaugeVec
	pluginStarts       *prometheus.CounterVec
	pluginCrashes      *prometheus.CounterVec
	pluginTasks        *prometheus.CounterVec
	reloadOK           prometheus.Gauge
	reloadTime         prometheus.Gauge
}

// workMetrics are those of migrations at work.
type workMetrics struct {
	claimDuration *prometheus.HistogramVec
	batches       *prometheus.CounterVec
	batchDuration *prometheus.HistogramVec
	batchSize     *prometheus.GaugeVec
	batchP90      *prometheus.GaugeVec
	rows          *prometheus.CounterVec
	keys          *prometheus.CounterVec
	retries       *prometheus.CounterVec
	splits        *prometheus.CounterVec
	quarantined   *prometheus.CounterVec
	progress      *prometheus.GaugeVec
	duty          *prometheus.GaugeVec
	throttled     *prometheus.GaugeVec
}

// NewMetrics returns Metrics that are registered with r. It panics if r has
// metrics of these names.
func NewMetrics(r prometheus.Registerer) *Metrics {
	f := factory{registerer: r}
	m := &Metrics{
		databaseUp:         f.gauge("bbmd_database_up", "1 while the database could be reached when it was last needed, else 0."),
		listenerConnected:  f.gauge("bbmd_listener_connected", "1 while the listener is connected and events can arrive, else 0."),
		listenerReconnects: f.counter("bbmd_listener_reconnects_total", "Connections that the listener has opened after its first."),
		streams:            newStreams(r),
		events:             f.counter("bbmd_events_total", "Notifications that arrived, by channel.", "channel"),
		reconciles:         f.counter("bbmd_reconcile_total", "Looks at what may run."),
		scanErrors:         f.counter("bbmd_scan_errors_total", "Looks at what may run that failed."),
		reconcileDuration:  f.histogram("bbmd_reconcile_duration_seconds", "Time of the scan of a look at what may run.", 100e-6, 14),
		wakeToReconcile:    f.histogram("bbmd_wake_to_reconcile_seconds", "Time from an event to the look that it caused.", 10e-6, 16),
		eventToWorker:      f.histogram("bbmd_event_to_worker_seconds", "Time from an event to the begin of the workers that it caused.", 100e-6, 16),
		workers:            f.gauge("bbmd_workers", "Workers that are at work."),
		workersLimit:       f.gauge("bbmd_workers_limit", "Workers that may be at work."),
		takeovers:          f.counter("bbmd_takeovers_total", "Jobs that were taken over from an owner that is dead."),
		migrations:         f.gauge("bbmd_migrations", "Background migrations that are open, by status.", "status"),
		ended:              f.counter("bbmd_migrations_ended_total", "Background migrations that this process has seen to their end, by status.", "status"),
		schemaUp:           f.gauge("bbmd_schema_up", "1 while the schema is where the configuration wants it, else 0."),
		schemaRuns:         f.counter("bbmd_schema_runs_total", "Runs that changed the schema of a database, or tried to, by how they ended.", "action", "outcome"),
		schemaRunDuration:  f.histogram("bbmd_schema_run_duration_seconds", "Time of a run that changed the schema of a database, or tried to.", 10e-3, 18, "action"),
		work:               newWorkMetrics(f),
		plugins:            f.plainGauge("bbmd_plugins", "Plugins, by kind and state.", "kind", "state"),
		pluginStarts:       f.plainCounter("bbmd_plugin_starts_total", "Programs of a plugin that were started.", "plugin"),
		pluginCrashes:      f.plainCounter("bbmd_plugin_crashes_total", "Programs of a plugin that ended badly, or had to be killed.", "plugin"),
		pluginTasks:        f.plainCounter("bbmd_plugin_tasks_total", "Tasks that programs of a plugin have answered.", "plugin"),
		reloadOK:           f.single("bbmd_config_last_reload_successful", "1 if the last look at the configuration was successful, 0 while a broken one waits."),
		reloadTime:         f.single("bbmd_config_last_reload_success_timestamp_seconds", "When a configuration was last taken, in Unix time."),
	}
	m.ConfigReloaded(true)
	return m
}

func newWorkMetrics(f factory) workMetrics {
	return workMetrics{
		claimDuration: f.histogram("bbmd_claim_duration_seconds", "Time to claim a block of jobs.", 100e-6, 14),
		batches:       f.counter("bbmd_batches_total", "Batches, by how they ended.", "migration", "outcome"),
		batchDuration: f.histogram("bbmd_batch_duration_seconds", "Time of a batch's transaction.", 1e-3, 15, "migration"),
		batchSize:     f.gauge("bbmd_batch_size_keys", "Keys that the next batch has.", "migration"),
		batchP90:      f.gauge("bbmd_batch_p90_seconds", "Time that nine of ten of the latest batches did not exceed, which steers their size.", "migration"),
		rows:          f.counter("bbmd_rows_total", "Rows that Works reported as processed.", "migration"),
		keys:          f.counter("bbmd_keys_total", "Keys of the batches that were finished, whether the Work changed their rows or not.", "migration"),
		retries:       f.counter("bbmd_jobs_retried_total", "Jobs that were put back to be tried again.", "migration"),
		splits:        f.counter("bbmd_jobs_split_total", "Jobs that were cut into two halves because they failed.", "migration"),
		quarantined:   f.counter("bbmd_rows_quarantined_total", "Rows that were set aside because they fail alone.", "migration"),
		progress:      f.gauge("bbmd_migration_progress_ratio", "Progress of a background migration, 0 to 1.", "migration"),
		duty:          f.gauge("bbmd_migration_duty_ratio", "Share of the time that the throttle leaves to a background migration: 1 for all, 0 while it is held back.", "migration"),
		throttled:     f.gauge("bbmd_migration_throttled", "1, with the signal that keeps a background migration back as label.", "migration", "signal"),
	}
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
	d.Up(false)
	d.ListenerConnected(false)
	for _, counter := range []*prometheus.CounterVec{m.listenerReconnects, m.reconciles, m.scanErrors, m.takeovers} {
		counter.WithLabelValues(name)
	}
	for _, histogram := range []*prometheus.HistogramVec{m.reconcileDuration, m.wakeToReconcile, m.eventToWorker, m.work.claimDuration} {
		histogram.WithLabelValues(name)
	}
	for _, status := range []string{"finished", "failed"} {
		m.ended.WithLabelValues(name, status)
	}
	d.Workers(0, 0)
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

func (f factory) plainGauge(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	f.registerer.MustRegister(v)
	return v
}

func (f factory) plainCounter(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	f.registerer.MustRegister(v)
	return v
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
