package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/oklog/run"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/dashboard"
	"github.com/bbmd-dev/bbmd/internal/dial"
	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/health"
	"github.com/bbmd-dev/bbmd/notify"
)

// controlConnections bounds the pool for scans, changes of status and counters.
// Batches have connections of their own.
const controlConnections = 4

// stuckAfter is how long one scan may take before the process is called not alive. A scan
// gives up by itself far earlier.
const stuckAfter = time.Minute

// database is one database that the daemon looks after.
type database struct {
	name    string
	config  Database
	schema  string // the control schema's name
	events  config.EventSource
	options options
	works   *works
	log     *slog.Logger
	dialer  *dial.Dialer
	metrics *health.DatabaseMetrics
	bringup *bringup
	room    *waitRoom

	reached   *health.Condition // whether the last attempt to connect succeeded
	installed *health.Condition // whether the control schema is right
	listening *health.Condition
	plugins   *notify.Flag // they may be others
	recheck   *notify.Flag // the control schema may be another one
	outage    outage       // of the events
	resynced  bool         // it has listened before; belongs to the listener

	dashboard *dashboard.Server            // nil: there is none
	pool      atomic.Pointer[pgxpool.Pool] // nil until the database was up once

	executor atomic.Pointer[executor.Executor] // nil until the database was up once

	mu       sync.Mutex
	settings executor.Settings
	usable   bool // the control schema is one that we understand
}

func newDatabase(name string, cfg Config, o options, w *works, metrics *health.DatabaseMetrics) *database {
	dialer := dial.New(cfg.Databases[name])
	return &database{
		name:      name,
		config:    cfg.Databases[name],
		schema:    cfg.ControlSchema,
		events:    cfg.Events,
		options:   o,
		works:     w,
		log:       o.logger.With("database", name),
		dialer:    dialer,
		metrics:   metrics,
		bringup:   newBringup(name, cfg, o, dialer, metrics),
		room:      newWaitRoom(waitConnect(cfg.Databases[name], name)),
		reached:   health.NewCondition("database/" + name),
		installed: health.NewCondition("control_schema/" + name),
		listening: health.NewCondition("listener/" + name),
		plugins:   notify.NewFlag(),
		recheck:   notify.NewFlag(),
		settings:  settingsOf(cfg),
		outage: outage{after: o.longOutage, tell: func(lasted time.Duration) {
			o.logger.Error("no events have arrived for long", "database", name, "lasted", lasted.Round(time.Second))
			o.telemetry.sourceDown(name, lasted)
		}},
	}
}

// live says whether the event loop responds. A database that is down does not count.
func (d *database) live() health.Check {
	return health.CheckFunc("executor/"+d.name, func(context.Context) error { return d.stuck() })
}

func (d *database) stuck() error {
	e := d.executor.Load()
	if e == nil {
		return nil
	}
	if stuck := e.Stuck(); stuck > stuckAfter {
		return fmt.Errorf("the event loop has been at one scan for %v", stuck.Round(time.Second))
	}
	return nil
}

// ready says whether background migrations can run now.
func (d *database) ready() []health.Check {
	scan := health.CheckFunc(d.reached.Name(), func(ctx context.Context) error {
		if e := d.executor.Load(); e != nil && e.Err() != nil {
			return e.Err()
		}
		return d.reached.Check(ctx)
	})
	checks := []health.Check{scan, d.installed, d.listening}
	if d.config.Schema.Start() != config.OnStartOff {
		checks = append(checks, d.bringup.up)
	}
	return checks
}

// configure changes what may change while the executor runs.
func (d *database) configure(settings executor.Settings) {
	d.change(func() { d.settings = settings })
}

// use says whether the control schema is one that we understand: nothing runs
// on one that is not.
func (d *database) use(usable bool) {
	d.change(func() { d.usable = usable })
}

func (d *database) change(what func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	what()
	if e := d.executor.Load(); e != nil {
		e.Configure(d.effective())
	}
}

// effective returns the settings for the executor.
func (d *database) effective() executor.Settings {
	settings := d.settings
	if !d.usable { // nothing is to be written there
		settings.Enabled, settings.OffReason = false, ""
	}
	return settings
}

// Run connects and brings the control schema up, however long that takes, and
// then listens, executes and looks after the schema until ctx ends.
func (d *database) Run(ctx context.Context) error {
	d.outage.begin() // until it listens
	defer d.outage.over()
	d.install(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	pool, err := d.dialer.Pool(ctx, d.application(), controlConnections)
	if err != nil {
		return err
	}
	defer pool.Close()
	d.pool.Store(pool)

	var group run.Group
	group.Add(actor(ctx, "listener", d.listen))
	group.Add(actor(ctx, "control schema", d.keepInstalled))
	group.Add(actor(ctx, "executor", d.newExecutor(pool).Run))
	if d.works.enabled {
		group.Add(actor(ctx, "plugins", d.preparePlugins))
	}
	if d.config.Schema.Configured() {
		group.Add(actor(ctx, "schema", d.bringup.Run))
	}
	return group.Run()
}

// application is the name under which the server shows our sessions.
// It tells which version of bbmd they belong to.
func (d *database) application() string {
	if d.options.version == unknownVersion {
		return "bbmd/" + d.name
	}
	return "bbmd/" + d.name + "@" + strings.ReplaceAll(d.options.version, "/", "_")
}

func (d *database) newExecutor(pool *pgxpool.Pool) *executor.Executor {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := executor.New(executor.Options{
		Database: d.name,
		Pool:     pool,
		Connect:  d.dialer.Connect,
		Store:    control.NewStore(d.schema),
		Registry: d.works,
		Logger:   d.options.logger, // it adds the database itself
		Observer: &observer{reporter: reporter{database: d.name, telemetry: d.options.telemetry}, metrics: d.metrics},
		Tracer:   d.options.telemetry.tracer(),
		Settings: d.effective(),
	})
	d.executor.Store(e)
	return e
}

// installTimeout bounds one attempt to bring the control schema up, in which it
// may have to wait for somebody who uses the tables.
const installTimeout = time.Minute

// install connects and brings the control schema up, and tries for as long as
// it takes or ctx lasts.
func (d *database) install(ctx context.Context) {
	var told string
	attempts := newAttempts(d.options.longestRetry)
	for ctx.Err() == nil {
		err := d.tryInstall(ctx)
		if d.bringup.mayCreate(err) {
			d.bringup.once(ctx)
			err = d.tryInstall(ctx)
		}
		if err == nil {
			return
		}
		wait := attempts.next()
		level := slog.LevelDebug // the first time says it all
		if told != err.Error() {
			level, told = slog.LevelWarn, err.Error()
		}
		if ctx.Err() == nil {
			d.log.Log(ctx, level, "database not ready", "error", err, "retry_in", wait.Round(time.Millisecond))
		}
		pause(ctx, wait)
	}
}

func (d *database) tryInstall(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	conn, err := d.dialer.Connect(ctx, d.application())
	d.reached.Set(err)
	d.metrics.Up(err == nil)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // it is of no more use, whatever the answer
	err = control.Install(ctx, conn, d.schema)
	d.installed.Set(err)
	if err == nil || errors.Is(err, control.ErrNewer) {
		d.use(err == nil)
	}
	if err != nil {
		return err
	}
	d.log.InfoContext(ctx, "database up", "server_version", conn.PgConn().ParameterStatus("server_version"), "control_schema", d.schema)
	return nil
}

// keepInstalled looks at the control schema again when somebody has upgraded it, and after
// every lost connection: the database may have been restored from a backup.
func (d *database) keepInstalled(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-d.recheck.Wait():
			d.install(ctx)
		}
	}
}
