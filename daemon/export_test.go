package daemon

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/health"
)

// WithPingInterval sets how long the listener's connection may be silent.
func WithPingInterval(d time.Duration) Option { return func(o *options) { o.pingInterval = d } }

// WithLongOutage sets how long no events may arrive before that is reported.
func WithLongOutage(d time.Duration) Option { return func(o *options) { o.longOutage = d } }

// WithLongestRetry bounds the waits between attempts to connect.
func WithLongestRetry(d time.Duration) Option { return func(o *options) { o.longestRetry = d } }

// ProgramEvent is what becomes of a plugin's program.
func ProgramEvent(d *Daemon, plugin, event string) { d.programEvent(plugin, event) }

// NewObserver returns what turns an executor's news into metrics.
func NewObserver(r prometheus.Registerer) executor.Observer {
	return &observer{reporter: reporter{database: "default", telemetry: new(telemetry)}, metrics: health.NewMetrics(r).Database("default")}
}
