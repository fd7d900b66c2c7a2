package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/bbmd-dev/bbmd/internal/port"
)

const (
	// defaultCheckTimeout is less than what Kubernetes' probes wait (2s in
	// our manifests), so that the answer still arrives.
	defaultCheckTimeout = time.Second
	// shutdownTimeout bounds the wait for requests that are being answered.
	shutdownTimeout = 3 * time.Second
)

// Options configure a [Server].
type Options struct {
	// Listen is host:port; port 0 takes a free one. Empty means that nothing
	// is served, and Run only waits.
	Listen string
	// Logger receives what goes wrong below HTTP. Nil discards it.
	Logger *slog.Logger
	// Gatherer is what /metrics shows. Nil means no /metrics.
	Gatherer prometheus.Gatherer
	// Done is closed when the work is drained; until then the server answers,
	// also after the context of Run has ended. Nil means at once.
	Done <-chan struct{}
	// CheckTimeout is how long one probe waits for its checks. Defaults to 1s.
	CheckTimeout time.Duration
	// Redact takes secrets out of the reasons that are shown. Nil means they
	// have none.
	Redact func(string) string
}

// Server is the HTTP server of /livez, /readyz and /metrics.
type Server struct {
	options Options
	live    probe
	ready   probe
	routes  []route
	port    port.Port
}

// route is what somebody else answers.
type route struct {
	pattern string
	handler http.Handler
}

// New returns a Server without checks, which is live and ready once it runs.
func New(options Options) *Server {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if options.CheckTimeout <= 0 {
		options.CheckTimeout = defaultCheckTimeout
	}
	if options.Redact == nil {
		options.Redact = func(text string) string { return text }
	}
	return &Server{options: options, port: port.Port{Address: options.Listen, Purpose: "probes and metrics", Setting: "http.listen"}}
}

// AddLive adds checks to /livez: whether a loop responds, and nothing that a
// restart would not mend. It may be called at any time.
func (s *Server) AddLive(checks ...Check) { s.live.add(checks...) }

// AddReady adds checks to /readyz. It may be called at any time.
func (s *Server) AddReady(checks ...Check) { s.ready.add(checks...) }

// Ready asks the checks of /readyz, and returns nil or every reason why not. It returns soon, whatever they do.
func (s *Server) Ready(ctx context.Context) error {
	var reasons []error
	for _, result := range s.ready.run(ctx, s.options.CheckTimeout) {
		if result.err != nil {
			reasons = append(reasons, fmt.Errorf("%s: %w", result.name, result.err))
		}
	}
	return errors.Join(reasons...)
}

// Handle serves a pattern of [http.ServeMux] beside the probes. It is called before Run. The handler
// has to answer within 30 seconds, and soon once the daemon stops.
func (s *Server) Handle(pattern string, handler http.Handler) {
	s.routes = append(s.routes, route{pattern: pattern, handler: handler})
}

// Listen takes the port. Run does so itself if Listen was not called; calling
// it first tells a port that is taken before anything else has started. The
// listener is closed by Run, so Run has to follow.
func (s *Server) Listen(ctx context.Context) error { return s.port.Listen(ctx) }

// Addr returns the address that is served, or nil before Listen.
func (s *Server) Addr() net.Addr { return s.port.Addr() }

// Run serves until ctx has ended and Options.Done is closed, and returns the
// cause of ctx. From the moment ctx ends, /readyz fails. Run is called once.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(ctx); err != nil {
		return err
	}
	if s.Addr() != nil {
		s.options.Logger.InfoContext(ctx, "serving probes and metrics", "address", s.Addr().String())
	}
	return s.port.Serve(ctx, port.Serving{
		Server: s.server(ctx), Done: s.options.Done, Grace: shutdownTimeout, Logger: s.options.Logger,
		Drain: func(ctx context.Context) { s.live.drain(ctx); s.ready.drain(ctx) },
	})
}

func (s *Server) server(ctx context.Context) *http.Server {
	return &http.Server{
		Handler:           s.handler(ctx),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.options.Logger.Handler(), slog.LevelWarn),
	}
}

// handler routes to the endpoints. running is the context of Run.
func (s *Server) handler(running context.Context) http.Handler {
	stopping := func() []result {
		if running.Err() == nil {
			return nil
		}
		return []result{{name: "shutdown", err: errors.New("bbmd is stopping")}}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /livez", &endpoint{server: s, probe: &s.live, good: "alive", bad: "not alive"})
	mux.Handle("GET /readyz", &endpoint{server: s, probe: &s.ready, good: "ready", bad: "not ready", extra: stopping})
	for _, r := range s.routes {
		mux.Handle(r.pattern, r.handler)
	}
	if s.options.Gatherer != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(s.options.Gatherer, promhttp.HandlerOpts{
			ErrorLog:            slog.NewLogLogger(s.options.Logger.Handler(), slog.LevelWarn),
			ErrorHandling:       promhttp.ContinueOnError,
			MaxRequestsInFlight: 8,
			EnableOpenMetrics:   true,
		}))
	}
	return mux
}
