package dev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/logging"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// stopPatience is how long the server may take to end in order.
const stopPatience = 20 * time.Second

// readyPatience is how long a daemon may take to be ready, before it is called up all the same.
const readyPatience = 10 * time.Second

// keeper is one run of the environment's process.
type keeper struct {
	*Environment

	mu     sync.Mutex
	state  State
	server *pgserver.Server // nil: all databases are elsewhere
}

// Serve brings the environment up and keeps it until ctx ends; then it stops it and
// returns nil, or the cause of ctx where it was not up yet. It returns a
// [RunningError] where another process has it.
func (e *Environment) Serve(ctx context.Context) error {
	if err := e.home.make(); err != nil {
		return err
	}
	held, err := e.home.acquire()
	if errors.Is(err, errHeld) {
		pid, _ := e.home.holder() // what the process is, is a courtesy
		return &RunningError{PID: pid}
	}
	if err != nil {
		return err
	}
	e.home.sweep()
	k := &keeper{Environment: e, state: State{PID: os.Getpid(), Phase: Starting, Started: time.Now(), Version: e.options.Version}}
	err = k.serve(ctx)
	return errors.Join(err, k.goodbye(err), held.release())
}

// goodbye leaves the reason where somebody waits for it, or nothing.
func (k *keeper) goodbye(err error) error {
	if err != nil {
		return k.tell(func(s *State) {
			s.Phase, s.Error, s.Code = Failed, config.Redact(err.Error()), k.options.Code(err)
		})
	}
	if err := os.Remove(k.home.path(stateFile)); err != nil {
		return fmt.Errorf("remove the keeper's state: %w", err)
	}
	return nil
}

// tell changes what others are told.
func (k *keeper) tell(change func(*State)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	change(&k.state)
	return k.home.writeState(&k.state)
}

// now returns what others are told.
func (k *keeper) now() State {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state
}

// step says what is being done now.
func (k *keeper) step(text string) error {
	k.options.Step(text)
	return k.tell(func(s *State) { s.Step = text })
}

// serve brings up what is to be up, one after the other.
func (k *keeper) serve(ctx context.Context) (err error) {
	if err := k.tell(func(*State) {}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.stopServer(ctx)) }()
	c, err := k.prepare(ctx)
	if err != nil {
		return err
	}
	if err := k.bringUp(ctx, c); err != nil {
		return err
	}
	d, log, err := k.listen(ctx, c)
	if err != nil {
		return err
	}
	return k.keep(ctx, d, log)
}

// prepare reads the configuration, and starts the private server where a database is on it.
func (k *keeper) prepare(ctx context.Context) (*configuration, error) {
	at, err := k.address()
	if err != nil {
		return nil, err
	}
	c, err := k.configure(at, usual())
	if err != nil {
		return nil, err
	}
	err = k.tell(func(s *State) { s.ConfigFile, s.Profile, s.Fingerprint = c.File(), c.Profile, c.fingerprint })
	if err != nil || len(c.privates()) == 0 {
		return c, err
	}
	if err := k.step("starting a private PostgreSQL"); err != nil {
		return nil, err
	}
	if err := k.startServer(ctx); err != nil {
		return nil, err
	}
	k.noteServer()
	if at, err = k.address(); err != nil {
		return nil, err
	}
	return k.configure(at, usual())
}

// note tells others what is not as it was the last time.
func (k *keeper) note(text string) {
	_ = k.tell(func(s *State) { s.Notes = append(slices.Clone(s.Notes), text) }) // which the next one tells, too
}

// noteServer tells others of the server that runs now.
func (k *keeper) noteServer() {
	server := &Server{
		PID: k.server.PID(), Port: k.server.Port(), Version: k.server.Binaries().Version,
		Dir: k.home.path(serverDir), Log: k.server.LogPath(),
	}
	_ = k.tell(func(s *State) { s.Server = server }) // which the next one tells, too
}

// bringUp creates databases and brings their schemas up. What came of a schema is for
// its developer to see, and ends nothing.
func (k *keeper) bringUp(ctx context.Context, c *configuration) error {
	if err := c.refuseProduction(ctx); err != nil {
		return err
	}
	if err := c.create(ctx); err != nil {
		return err
	}
	schemas := daemon.SchemaDatabases(c.Config)
	if len(schemas) == 0 {
		return nil
	}
	if err := k.step("bringing up the schemas of " + strings.Join(schemas, ", ")); err != nil {
		return err
	}
	log, _ := logging.New(k.options.Log, c.Log)
	outcomes, err := daemon.Migrate(ctx, c.Config, daemon.SchemaOptions{Logger: log, Version: k.options.Version})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if len(outcomes) == 0 && err != nil {
		return err
	}
	return k.tell(func(s *State) { s.Outcomes, s.Incomplete = k.options.Encode(outcomes), err != nil })
}

// listenTries is how often addresses are looked for that are taken in the moment between.
const listenTries = 5

// listen makes the daemon and takes its ports: the usual ones, unless somebody has those or others
// were chosen.
func (k *keeper) listen(ctx context.Context, c *configuration) (*daemon.Daemon, *slog.Logger, error) {
	if err := k.step("starting the daemon"); err != nil {
		return nil, nil, err
	}
	saved, err := k.home.readSettings()
	if err != nil {
		return nil, nil, err
	}
	for try := 1; ; try++ {
		if saved.Listen, err = vacant(ctx, saved.Listen); err != nil {
			return nil, nil, fmt.Errorf("look for a free port: %w", err)
		}
		if c, err = k.configure(c.at, saved.Listen); err != nil {
			return nil, nil, err
		}
		log, level := logging.New(k.options.Log, c.Log)
		d, err := daemon.New(c.Config, daemon.WithLogger(log), daemon.WithLevel(level), daemon.WithReload(c.sources), daemon.WithVersion(k.options.Version)) //nolint:contextcheck // it starts nothing before Run has a context
		if err != nil {
			return nil, nil, err
		}
		err = d.Listen(ctx)
		if errors.Is(err, syscall.EADDRINUSE) && !c.chosen && try < listenTries {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		return d, log, k.noteDaemon(c, d, saved)
	}
}

// noteDaemon tells others of the daemon, and remembers its addresses for the next time.
func (k *keeper) noteDaemon(c *configuration, d *daemon.Daemon, saved settings) error {
	if err := k.home.writeSettings(saved); err != nil {
		return err
	}
	return k.tell(func(s *State) {
		s.Listen, s.Dashboard, s.Databases = textOf(d.Addr()), textOf(d.DashboardAddr()), c.databases()
	})
}

// textOf is empty for no address.
func textOf(at net.Addr) string {
	if at == nil {
		return ""
	}
	return at.String()
}

// announce says that all is up, once the daemon says so or has had its time.
func (k *keeper) announce(ctx context.Context) error {
	awaitReady(ctx, k.now())
	select {
	case <-ctx.Done():
		return nil // it was told to stop
	default:
	}
	if err := k.tell(func(s *State) { s.Phase, s.Step = Running, "" }); err != nil {
		return err
	}
	return k.options.Ready(k.now())
}

// keep runs the daemon, and the server beside it, until ctx ends.
func (k *keeper) keep(ctx context.Context, d *daemon.Daemon, log *slog.Logger) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var group sync.WaitGroup
	var announced error
	group.Go(func() {
		if announced = k.announce(ctx); announced != nil {
			cancel(announced)
		}
	})
	group.Go(func() {
		<-ctx.Done()
		_ = k.tell(func(s *State) { s.Phase = Stopping }) // for who looks meanwhile
	})
	if k.server != nil {
		group.Go(func() { _ = k.keepServer(ctx, log) }) // it ends with ctx
	}
	err := d.Run(ctx)
	cancel(err)
	group.Wait()
	return errors.Join(err, announced)
}

func (k *keeper) stopServer(ctx context.Context) error {
	if k.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	if err := k.server.Close(ctx); err != nil {
		return fmt.Errorf("stop the private server: %w", err)
	}
	return nil
}
