package health

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// streams collects what streams of events know of themselves. It changes with every message of
// a server, so they are asked when somebody wants to know.
type streams struct {
	behind *prometheus.Desc

	mu    sync.Mutex
	known map[string]func() (behind uint64, connected bool) // by database
}

func newStreams(r prometheus.Registerer) *streams {
	s := &streams{
		behind: prometheus.NewDesc("bbmd_stream_behind_bytes",
			"Write-ahead log that the server has read for the stream of events, and the stream has not acknowledged: what its slot keeps.", []string{"database"}, nil),
		known: map[string]func() (uint64, bool){},
	}
	r.MustRegister(s)
	return s
}

// Describe is that of [prometheus.Collector].
func (s *streams) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- s.behind }

// Collect is that of [prometheus.Collector].
func (s *streams) Collect(metrics chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for database, ask := range s.known {
		if behind, connected := ask(); connected {
			metrics <- prometheus.MustNewConstMetric(s.behind, prometheus.GaugeValue, float64(behind), database)
		}
	}
}

// Stream says whom to ask how far a stream of events is behind, in bytes, and whether it is
// connected: where not, there is no such metric. It is asked at each scrape, and must
// not block. It takes the place of the one before.
func (d *DatabaseMetrics) Stream(ask func() (behind uint64, connected bool)) {
	d.all.streams.mu.Lock()
	defer d.all.streams.mu.Unlock()
	d.all.streams.known[d.name] = ask
}
