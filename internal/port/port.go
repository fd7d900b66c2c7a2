package port

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

// Port is one TCP port. Fill its fields, and then call [Port.Serve] once, or
// [Port.Close]. It is not safe for concurrent use.
type Port struct {
	// Address is host:port; port 0 takes a free one. Empty means that nothing is
	// served, and Serve only waits.
	Address string
	// Purpose says what is served, for errors: "the dashboard".
	Purpose string
	// Setting is the name of the setting that Address comes from, for errors.
	Setting string

	listener net.Listener
}

// Serving is how a server is run.
type Serving struct {
	Server *http.Server
	// Done is closed when the server may stop, once its context has ended. Nil means at once.
	Done <-chan struct{}
	// Grace is how long requests may take at the end, and Drain after them.
	Grace time.Duration
	// Drain waits for what the requests have started. Nil: nothing.
	Drain func(context.Context)
	// Logger is told of requests that were cut off.
	Logger *slog.Logger
}

// Listen takes the port, if it is not taken yet. Serve does so itself if Listen was not
// called; calling it first tells a port that is not to be had before anything
// else has started. Serve or Close has to follow.
func (p *Port) Listen(ctx context.Context) error {
	if p.Address == "" || p.listener != nil {
		return nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", p.Address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen for %s: %w; another process, perhaps another bbmd, has the port: stop it, or set %s", p.Purpose, err, p.Setting)
	case err != nil:
		return fmt.Errorf("listen for %s: %w; set %s to an address of this machine that bbmd may use", p.Purpose, err, p.Setting)
	}
	p.listener = listener
	return nil
}

// Addr returns the address that is served, or nil before Listen.
func (p *Port) Addr() net.Addr {
	if p.listener == nil {
		return nil
	}
	return p.listener.Addr()
}

// Close gives the port back, where Serve is not going to be called.
func (p *Port) Close() error {
	if p.listener == nil {
		return nil
	}
	return p.listener.Close()
}

// Serve serves until ctx has ended and s.Done is closed, finishes what is being
// answered, and returns the cause of ctx.
func (p *Port) Serve(ctx context.Context, s Serving) error {
	if p.Address == "" {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	if err := p.Listen(ctx); err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- s.Server.Serve(p.listener) }()
	broken := s.wait(ctx, served)
	s.shutdown(ctx)
	if broken == nil {
		broken = <-served
	}
	if !errors.Is(broken, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", p.Purpose, broken)
	}
	return context.Cause(ctx)
}

// wait waits for the end of ctx, then of the work. It returns what ends the server before that.
func (s Serving) wait(ctx context.Context, served <-chan error) error {
	done := s.Done
	if done == nil {
		done = ctx.Done()
	}
	for _, end := range []<-chan struct{}{ctx.Done(), done} {
		select {
		case err := <-served:
			return err
		case <-end:
		}
	}
	return nil
}

// shutdown finishes the requests that are being answered, and what they have started.
func (s Serving) shutdown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Grace)
	defer cancel()
	if err := s.Server.Shutdown(ctx); err != nil {
		s.Logger.WarnContext(ctx, "cut off requests at shutdown", "error", err)
		_ = s.Server.Close() // the first error has been told
	}
	if s.Drain != nil {
		s.Drain(ctx)
	}
}
