package dashboard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"
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
	listener  net.Listener
	stopping  chan struct{} // closed when Run ends

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
func (s *Server) Listen(ctx context.Context) error {
	if s.options.Listen == "" || s.listener != nil {
		return nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", s.options.Listen)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen for the dashboard: %w; another process, perhaps another bbmd, has the port: stop it, or set dashboard.listen", err)
	case err != nil:
		return fmt.Errorf("listen for the dashboard: %w; set dashboard.listen to an address of this machine that bbmd may use", err)
	}
	s.listener = listener
	return nil
}

// Addr returns the address that is served, or nil before Listen.
func (s *Server) Addr() net.Addr {
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Close gives the port back, for a server that is not going to be run.
func (s *Server) Close() error {
	if s.listener == nil {
		return nil
	}
	return s.listener.Close()
}

// Run serves until ctx ends, and returns its cause once every request is answered
// and every watcher gone. It is called once.
func (s *Server) Run(ctx context.Context) error {
	if s.options.Listen == "" {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	if err := s.Listen(ctx); err != nil {
		return err
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
	served := make(chan error, 1)
	go func() { served <- server.Serve(s.listener) }()
	s.log.InfoContext(ctx, "serving the dashboard", "address", s.Addr().String())
	select {
	case err := <-served:
		s.shutdown(ctx, server)
		return fmt.Errorf("serve the dashboard: %w", err)
	case <-ctx.Done():
	}
	s.shutdown(ctx, server)
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the dashboard: %w", err)
	}
	return context.Cause(ctx)
}

// shutdown sends the watchers away, and finishes the requests that are being answered.
func (s *Server) shutdown(ctx context.Context, server *http.Server) {
	close(s.stopping)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		s.log.WarnContext(ctx, "cut off requests at shutdown", "error", err)
		_ = server.Close() // the first error has been told
	}
	s.live.close()
}
