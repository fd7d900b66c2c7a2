package dev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

const (
	// leftoverPatience is how long the processes of a killed server may take to go.
	leftoverPatience = 30 * time.Second
	// shortestRetry and longestRetry bound the waits between attempts to start the server.
	shortestRetry = 100 * time.Millisecond
	longestRetry  = 5 * time.Second
)

// A NoServerError says that there are no programs to run a private server with, and
// what to install.
type NoServerError struct{ Err error }

// Error says what was looked for.
func (e *NoServerError) Error() string { return "start a private PostgreSQL: " + e.Err.Error() }

// Unwrap returns what was found out.
func (e *NoServerError) Unwrap() error { return e.Err }

// startServer starts the private server on the port that it had before, or on
// another one where somebody has taken that.
func (k *keeper) startServer(ctx context.Context) error {
	saved, err := k.home.readSettings()
	if err != nil {
		return err
	}
	if err := k.beginServer(); err != nil {
		return err
	}
	binaries, err := pgserver.Find(ctx)
	if err != nil {
		return &NoServerError{Err: err}
	}
	options := pgserver.Options{Binaries: binaries, Dir: k.home.path(serverDir), Port: saved.Port, Durable: true}
	k.server, err = startPatiently(ctx, options)
	if err != nil && options.Port != 0 && strings.Contains(err.Error(), "could not bind") {
		taken := options.Port
		options.Port = 0
		k.server, err = startPatiently(ctx, options)
		k.note(fmt.Sprintf("port %d is taken: PostgreSQL has another one now, and the connection strings have changed", taken))
	}
	if err != nil {
		return err
	}
	saved.Port = k.server.Port()
	if k.options.Driver != nil {
		saved.Driver = *k.options.Driver
	}
	if err := k.home.writeSettings(saved); err != nil {
		return err
	}
	if err := os.RemoveAll(k.home.path(firstStart)); err != nil {
		return fmt.Errorf("note the first start: %w", err)
	}
	return nil
}

// beginServer notes that data is being made, and throws away what an earlier first start has
// left half made.
func (k *keeper) beginServer() error {
	_, half := os.Lstat(k.home.path(firstStart))
	if half == nil {
		if err := os.RemoveAll(k.home.path(serverDir)); err != nil {
			return fmt.Errorf("remove a half-made server: %w", err)
		}
	}
	if _, err := os.Lstat(k.home.path(serverDir)); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.WriteFile(k.home.path(firstStart), nil, 0o600); err != nil {
		return fmt.Errorf("note the first start: %w", err)
	}
	return nil
}

// startPatiently starts a server, also while the processes of one that was killed are
// still going.
func startPatiently(ctx context.Context, options pgserver.Options) (*pgserver.Server, error) {
	ctx, cancel := context.WithTimeout(ctx, leftoverPatience)
	defer cancel()
	var server *pgserver.Server
	err := persist(ctx, func() (again bool, err error) {
		server, err = pgserver.Start(ctx, options)
		return err != nil && leftover(err), err
	})
	return server, err
}

// leftover reports whether a server did not start because of what is left of another one.
func leftover(err error) bool {
	text := err.Error()
	return strings.Contains(text, `lock file "postmaster.pid" already exists`) || strings.Contains(text, "pre-existing shared memory block")
}

// persist does something until it succeeds, fails for good, or ctx ends.
func persist(ctx context.Context, do func() (again bool, err error)) error {
	for wait := shortestRetry; ; wait = min(2*wait, longestRetry) {
		again, err := do()
		if err == nil || !again {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}

// keepServer starts the server again whenever it ends, until ctx ends. A session
// of its own, which does nothing, tells when that happens.
func (k *keeper) keepServer(ctx context.Context, log *slog.Logger) error {
	for ctx.Err() == nil {
		err := k.watchServer(ctx)
		if ctx.Err() != nil {
			break
		}
		if k.server.PID() != 0 {
			log.WarnContext(ctx, "lost the session that watches PostgreSQL", "error", err)
		} else {
			log.WarnContext(ctx, "PostgreSQL has ended: starting it again")
		}
		err = persist(ctx, func() (again bool, err error) {
			if k.server.PID() != 0 {
				return false, nil
			}
			err = k.server.Restart(ctx)
			if err != nil {
				log.WarnContext(ctx, "PostgreSQL does not start", "error", err)
			}
			return true, err
		})
		if err == nil {
			k.noteServer()
		}
	}
	return context.Cause(ctx)
}

// watchServer returns when the server ends.
func (k *keeper) watchServer(ctx context.Context) error {
	cfg, err := pgx.ParseConfig(k.server.SocketURL("postgres"))
	if err != nil {
		return fmt.Errorf("watch PostgreSQL: %w", err)
	}
	cfg.RuntimeParams["application_name"] = "bbmd/dev"
	var conn *pgx.Conn
	err = persist(ctx, func() (again bool, err error) {
		conn, err = pgx.ConnectConfig(ctx, cfg)
		return k.server.PID() != 0, err
	})
	if err != nil {
		return fmt.Errorf("watch PostgreSQL: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // of no use any more
	_, err = conn.WaitForNotification(ctx)
	return fmt.Errorf("watch PostgreSQL: %w", err)
}
