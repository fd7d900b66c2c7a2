package dashboard

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/bbmd-dev/bbmd/internal/port"
)

const (
	// shutdownTimeout bounds the wait for requests that are being answered.
	shutdownTimeout = 5 * time.Second
	// writeTimeout bounds an answer, streams of events excepted.
	writeTimeout = 30 * time.Second
	// readTimeout bounds how long a request may take to arrive.
	readTimeout = 10 * time.Second
	// maxBody is how long a request may be.
	maxBody = 1 << 20
)

// Server serves the dashboard. Make one with [New].
type Server struct {
	options   Options
	log       *slog.Logger
	databases []*database
	views     views
	assets    assets
	live      *hub
	keeper    *keeper
	mux       *http.ServeMux
	port      port.Port
	stopping  chan struct{} // closed when Run is about to end

	readTimeout time.Duration
}

// New returns a Server that serves nothing until it is run.
func New(options Options) (*Server, error) {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if options.Redact == nil {
		options.Redact = func(text string) string { return text }
	}
	if options.Works == nil {
		options.Works = func() []Work { return nil }
	}
	if options.Plugins == nil {
		options.Plugins = func() []Plugin { return nil }
	}
	s := &Server{options: options, log: options.Logger, live: newHub(), assets: loadAssets(), stopping: make(chan struct{}), readTimeout: readTimeout}
	s.port = port.Port{Address: options.Listen, Purpose: "the dashboard", Setting: "dashboard.listen"}
	s.keeper = newKeeper(options.Token, options.PublicRead)
	for _, d := range options.Databases {
		s.databases = append(s.databases, newDatabase(d))
	}
	var err error
	if s.views, err = parseViews(); err != nil {
		return nil, err
	}
	s.mux = s.routes()
	return s, nil
}

// Changed says that something has changed in a database, or may have: whoever
// looks at it is shown what. It never blocks.
func (s *Server) Changed(database string) { s.tell(database, true) }

// Progressed is [Server.Changed] where nothing but the progress of migrations has.
func (s *Server) Progressed(database string) { s.tell(database, false) }

func (s *Server) tell(database string, schema bool) {
	for _, d := range s.databases {
		if d.Name == database {
			d.forget(schema)
		}
	}
	s.live.changed(database)
}

// Listen takes the port. Run does so itself if Listen was not called, and closes
// it, so Run has to follow.
func (s *Server) Listen(ctx context.Context) error { return s.port.Listen(ctx) }

// Addr returns the address that is served, or nil before Listen.
func (s *Server) Addr() net.Addr { return s.port.Addr() }

// Close gives the port back, for a server that is not going to be run.
func (s *Server) Close() error { return s.port.Close() }

// Run serves until ctx ends, and returns its cause once every request is answered
// and every watcher gone. It is called once.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(ctx); err != nil {
		return err
	}
	if s.Addr() != nil {
		s.log.InfoContext(ctx, "serving the dashboard", "address", s.Addr().String())
	}
	server := &http.Server{
		Handler:           s.guard(s.mux),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       s.readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	server.RegisterOnShutdown(func() { close(s.stopping) }) // or the watchers would be waited for
	return s.port.Serve(ctx, port.Serving{
		Server: server, Grace: shutdownTimeout, Logger: s.log,
		Drain: func(context.Context) { s.live.close() },
	})
}
