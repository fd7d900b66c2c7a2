package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"

	"github.com/oklog/run"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/dashboard"
	"github.com/bbmd-dev/bbmd/internal/health"
)

// Daemon looks after the databases of a configuration. Make one with [New].
type Daemon struct {
	options    options
	logger     *slog.Logger
	health     *health.Server
	metrics    *health.Metrics
	databases  []*database
	works      *works
	dashboard  *dashboard.Server // nil: there is none
	finalizers *finalizers       // begun through the dashboard
	working    sync.WaitGroup    // databases that are not drained
	stopping   chan struct{}     // closed when the daemon stops
	drained    chan struct{}     // closed when none is working any more

	current Config // in force; belongs to the config watcher once it runs

	programs map[string]bool // plugins that are programs; belongs to whoever loads plugins
}

// New returns a Daemon that does nothing until it is run. The error says
// everything that is wrong with cfg.
func New(cfg Config, opts ...Option) (*Daemon, error) {
	if err := errors.Join(cfg.Validate(), checkThrottle(cfg)); err != nil {
		return nil, err
	}
	o := newOptions(opts)
	o.turns = make(chan struct{}, cfg.SchemaMigrations.Parallel)
	gatherer := health.NewRegistry(o.version)
	d := &Daemon{
		options:  o,
		logger:   o.logger,
		metrics:  health.NewMetrics(gatherer),
		stopping: make(chan struct{}), drained: make(chan struct{}),
		current: cfg,
	}
	d.health = health.New(health.Options{
		Listen: cfg.HTTP.Listen, Logger: o.logger, Gatherer: gatherer, Done: d.drained, Redact: config.Redact,
	})
	d.health.Handle("GET "+WaitPath, http.HandlerFunc(d.serveWait))
	o.level.Set(cfg.Log.Level)
	d.works = newWorks(cfg.Plugins, o.works, o.logger, o.version, d.pluginsChanged, d.programEvent)
	for _, name := range cfg.Names() {
		db := newDatabase(name, cfg, o, d.works, d.metrics.Database(name))
		d.databases = append(d.databases, db)
		d.health.AddLive(db.live())
		d.health.AddReady(db.ready()...)
	}
	if err := d.addDashboard(cfg); err != nil {
		return nil, err
	}
	return d, nil
}

// Listen takes the ports of the probes and of the dashboard, which tells one that is taken
// before anything has started. Run does so itself if it was not called; Run has to follow.
func (d *Daemon) Listen(ctx context.Context) error {
	if d.dashboard != nil {
		if err := d.dashboard.Listen(ctx); err != nil {
			return err
		}
	}
	err := d.health.Listen(ctx)
	if err != nil && d.dashboard != nil {
		return errors.Join(err, d.dashboard.Close())
	}
	return err
}

// Addr returns the address of the probes, or nil before [Daemon.Listen] and
// where none is configured.
func (d *Daemon) Addr() net.Addr { return d.health.Addr() }

// Run runs every actor until the first one returns, then stops the rest and
// waits for them. It returns nil after a signal or when ctx is canceled, and
// otherwise the error of the actor that returned first. It is called once.
func (d *Daemon) Run(ctx context.Context) error {
	if err := d.Listen(ctx); err != nil {
		return err
	}
	d.logger.InfoContext(ctx, "bbmd starts", "version", d.options.version, "databases", d.current.Names(),
		"background_migrations", d.current.BackgroundMigrations.Enabled, "config_file", d.current.File())

	defer d.options.telemetry.begin(ctx, d.current, d.options)()
	d.works.load(ctx, d.logger) // before anybody looks for a Work
	d.countPlugins()

	var group run.Group
	// Interrupts are called one at a time in the order of Add, so none may
	// block: each only cancels, and draining happens inside the actor's Run.
	if d.options.process {
		group.Add(run.SignalHandler(ctx, syscall.SIGINT, syscall.SIGTERM))
		group.Add(actor(ctx, "systemd", d.superviseBySystemd))
	}
	group.Add(actor(ctx, "probes", d.health.Run))
	if d.dashboard != nil {
		group.Add(actor(ctx, "dashboard", d.serveDashboard))
	}
	if d.options.sources != nil {
		watch, release := d.watchConfig(ctx)
		defer release()
		group.Add(actor(ctx, "config watcher", watch))
	}
	for _, db := range d.databases {
		d.working.Add(1)
		group.Add(actor(ctx, "database "+db.name, d.work(db)))
	}
	group.Add(actor(ctx, "plugins", d.lookAfterPlugins))
	if d.works.enabled {
		group.Add(actor(ctx, "reload of plugins", d.reloadPlugins))
	}
	group.Add(actor(ctx, "drain", d.waitForDrain))

	err := group.Run()
	if ctx.Err() != nil {
		err = context.Cause(ctx) // whichever actor noticed first
	}
	d.logger.InfoContext(ctx, "bbmd stopped", "reason", err)
	if errors.Is(err, run.ErrSignal) || ctx.Err() != nil {
		return nil
	}
	return err
}

// work runs a database, and takes note when it has drained.
func (d *Daemon) work(db *database) func(context.Context) error {
	return func(ctx context.Context) error {
		defer d.working.Done()
		return db.Run(ctx)
	}
}

// waitForDrain lets the probes go only when all databases are done, so that they
// answer for as long as batches run.
func (d *Daemon) waitForDrain(ctx context.Context) error {
	<-ctx.Done()
	close(d.stopping)
	d.logger.InfoContext(ctx, "stopping: running batches may finish", "reason", context.Cause(ctx))
	d.working.Wait()
	close(d.drained)
	return context.Cause(ctx)
}

// actor adapts a function that obeys its context to a [run.Group]. The cause
// of the context is the error that ended the group.
func actor(ctx context.Context, name string, fn func(context.Context) error) (execute func() error, interrupt func(error)) {
	ctx, cancel := context.WithCancelCause(ctx)
	execute = func() error {
		if err := fn(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return fmt.Errorf("%s: returned early", name)
	}
	return execute, cancel
}
