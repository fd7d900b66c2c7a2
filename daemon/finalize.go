package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/oklog/run"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/dial"
	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/status"
	"github.com/bbmd-dev/bbmd/notify"
	"github.com/bbmd-dev/bbmd/registry"
)

type (
	// Progress is how far a migration is, as `bbmd status --output json` shows it.
	Progress = control.Progress
	// View shows migrations as they get on. It is used by one goroutine, and its
	// owner closes it.
	View = status.View
)

// The errors of [Finalize] that a caller acts upon.
var (
	// ErrNoMigration says that there is no migration of that name.
	ErrNoMigration = control.ErrNoMigration
	// ErrNotRunnable says that the migration must not or cannot run here: it is
	// paused or cancelled, or its Work is not registered. The text has the way out.
	ErrNotRunnable = errors.New("refused")
	// ErrMigrationFailed says that the migration has failed, and why.
	ErrMigrationFailed = errors.New("migration failed")
)

// FinalizeOptions say how [Finalize] goes about it. The zero value is fine.
type FinalizeOptions struct {
	// Workers is how many batches run at a time, as far as the migration's
	// parallelism allows. Defaults to 0: background_migrations.workers.
	Workers int
	// View is shown how far it is. Nil: nobody looks.
	View View
	// Logger gets what goes wrong. Nil: nobody does.
	Logger *slog.Logger
	// Works may run. Nil: [registry.Default].
	Works *registry.Registry
	// Version of bbmd, for traces and Sentry. Empty: unknown.
	Version string
	// Process says that the process is bbmd's own: OpenTelemetry's variables count.
	Process bool

	telemetry *telemetry // nil: one of its own, for as long as it lasts
}

// Finalize runs what is left of one migration in this process, without
// throttle, and returns when it is over: nil when it has finished, now or
// before. It waits as the daemon does, for dependencies, for a table that is
// busy and for a database that is away; its progress says for what.
//
// It works beside running daemons, and shares the migration's parallelism with
// them: where they hold all of its places for workers, it waits for one. It
// works where background_migrations.enabled is false, which is about daemons.
//
// When ctx ends it lets running batches finish for shutdown_grace, gives the
// rest back and returns the context's cause; nothing is lost. The other errors
// wrap [ErrNoMigration], [ErrNotRunnable] or [ErrMigrationFailed], or say what
// keeps it from the database.
func Finalize(ctx context.Context, cfg Config, database, name string, opts FinalizeOptions) (p Progress, err error) {
	if err := cfg.Validate(); err != nil {
		return Progress{}, err
	}
	target, ok := cfg.Databases[database]
	if !ok {
		return Progress{}, fmt.Errorf("no database %q in the configuration: it has %s", database, strings.Join(cfg.Names(), ", "))
	}
	f := newFinalizer(cfg, database, name, opts)
	if f.opts.telemetry == nil {
		f.opts.telemetry = new(telemetry)
		defer f.opts.telemetry.begin(ctx, cfg, options{logger: f.opts.Logger, version: f.opts.Version, process: f.opts.Process})()
	}
	f.works = newWorks(cfg.Plugins, f.opts.Works, f.opts.Logger, "", nil, nil)
	defer func() { err = errors.Join(err, f.works.close(context.WithoutCancel(ctx))) }()
	f.works.load(ctx, f.opts.Logger)
	f.dialer = dial.New(target)
	pool, err := f.dialer.Pool(ctx, "bbmd/"+database+"/finalize", controlConnections)
	if err != nil {
		return Progress{}, err
	}
	defer pool.Close()
	f.pool = pool
	if err := control.Check(ctx, pool, cfg.ControlSchema); err != nil {
		return Progress{}, err
	}
	if err := f.accept(ctx); err != nil {
		return Progress{}, err
	}
	url, err := target.ListenConnString()
	if err != nil {
		return Progress{}, fmt.Errorf("listener: %w", err)
	}
	return f.run(ctx, url)
}

// finalizer is one call of [Finalize].
type finalizer struct {
	database, name string
	opts           FinalizeOptions
	works          *works
	settings       executor.Settings
	store          control.Store
	dialer         *dial.Dialer
	pool           *pgxpool.Pool
	executor       *executor.Executor
}

func newFinalizer(cfg Config, database, name string, opts FinalizeOptions) *finalizer {
	f := &finalizer{database: database, name: name, opts: opts, settings: settingsOf(cfg), store: control.NewStore(cfg.ControlSchema)}
	f.settings.Enabled, f.settings.Throttle = true, nil
	if opts.Workers > 0 {
		f.settings.Workers = opts.Workers
	}
	if f.opts.View == nil {
		f.opts.View = noView{}
	}
	if f.opts.Logger == nil {
		f.opts.Logger = slog.New(slog.DiscardHandler)
	}
	if f.opts.Works == nil {
		f.opts.Works = registry.Default()
	}
	f.opts.Version = cmp.Or(f.opts.Version, unknownVersion)
	return f
}

// accept refuses a migration that would not move however long one waits.
func (f *finalizer) accept(ctx context.Context) error {
	c, err := f.store.ScanOne(ctx, f.pool, f.name)
	if err != nil || c.Status == control.StatusFinished {
		return err
	}
	all, err := f.look(ctx)
	if err != nil {
		return err
	}
	if err := outcome(all); err != nil {
		return err
	}
	work, err := f.works.Lookup(c.Work)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrNotRunnable, err)
	case c.WorkVersion != nil && int(*c.WorkVersion) != work.Version:
		return fmt.Errorf("%w: migration %q has begun with version %d of the work %q, and this bbmd has version %d: use a bbmd that has version %d",
			ErrNotRunnable, f.name, *c.WorkVersion, c.Work, work.Version, *c.WorkVersion)
	case c.Started() && c.WorkDigest != work.Digest:
		return fmt.Errorf("%w: migration %q has begun with another content of the work %q than is here: put it back as it was, or let the migration go on with what is there now: bbmd plugins approve %s",
			ErrNotRunnable, f.name, c.Work, c.Work)
	default:
		return nil
	}
}

// outcome is nil for a migration that has finished, or may.
func outcome(all []control.Progress) error {
	if len(all) == 0 {
		return fmt.Errorf("%w of that name any more: it was deleted", ErrNoMigration)
	}
	switch p := &all[0]; p.Status {
	case control.StatusFailed:
		return fmt.Errorf("%w: %q: %s: mend the cause, then `bbmd retry %s`", ErrMigrationFailed, p.Name, status.Reason(p), p.Name)
	case control.StatusPaused:
		return fmt.Errorf("%w: migration %q is paused%s: `bbmd resume %s` lets it go on", ErrNotRunnable, p.Name, because(p), p.Name)
	case control.StatusCancelled:
		return fmt.Errorf("%w: migration %q is cancelled%s: enqueue another one under a new name", ErrNotRunnable, p.Name, because(p))
	default:
		return nil
	}
}

func because(p *control.Progress) string {
	if why := status.Reason(p); why != "" {
		return " (" + why + ")"
	}
	return ""
}

// run executes and follows until the migration is over.
func (f *finalizer) run(ctx context.Context, url string) (Progress, error) {
	f.executor = executor.New(executor.Options{
		Database: f.database, Only: f.name, Pool: f.pool, Connect: f.dialer.Connect, Store: f.store,
		Registry: f.works, Logger: f.opts.Logger, Settings: f.settings,
		Observer: reporter{database: f.database, telemetry: f.opts.telemetry}, Tracer: f.opts.telemetry.tracer(),
	})
	following, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	source, err := notify.NewListener(notify.ListenerConfig{
		URL: url, Name: "bbmd/" + f.database + "/finalize", Logger: f.opts.Logger,
		OnChange: func(s notify.State) {
			if s.Connects == 0 && s.Err != nil {
				stop(fmt.Errorf("listen for events: %w", s.Err))
			}
		},
	})
	if err != nil {
		return Progress{}, fmt.Errorf("listener: %w", err)
	}
	follower := status.Follower{
		Source: waking{source, f.executor}, Look: f.look, View: f.opts.View,
		Seen: func(all []control.Progress) {
			if err := outcome(all); err != nil {
				stop(err) // paused: it is not over, but nothing moves any more
			}
		},
	}
	executing, drain := context.WithCancelCause(context.WithoutCancel(ctx))
	var last []control.Progress
	var group run.Group
	group.Add(func() (err error) {
		last, err = follower.Run(following)
		return err
	}, stop)
	group.Add(func() error { return f.executor.Run(executing) }, drain)
	err = group.Run()
	switch {
	case err != nil:
		return progressOf(last), err
	default:
		return progressOf(last), outcome(last)
	}
}

func progressOf(all []control.Progress) Progress {
	if len(all) == 0 {
		return Progress{}
	}
	return all[0]
}

// look reads how far the migration is, and says of one that others hold that they do.
func (f *finalizer) look(ctx context.Context) ([]control.Progress, error) {
	all, err := f.store.Progress(ctx, f.pool, control.Selection{Names: []string{f.name}})
	if err != nil && away(err) {
		return nil, fmt.Errorf("%w: %w", status.ErrUnreachable, err)
	}
	if err != nil || len(all) == 0 || f.executor == nil {
		return all, err
	}
	if locked := f.executor.LockInUse(); locked != nil && all[0].Status == control.StatusRunning && all[0].Reason == nil {
		reason := locked.Error()
		all[0].Reason = &reason
	}
	return all, nil
}

// away reports whether an error is the connection's, and not an answer of the server.
func away(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return !ok || strings.HasPrefix(refused.Code, "08") || strings.HasPrefix(refused.Code, "57P")
}

// waking is a source whose events also wake an executor.
type waking struct {
	notify.Source

	executor *executor.Executor
}

func (w waking) Run(ctx context.Context, deliver func(notify.Event)) error {
	return w.Source.Run(ctx, func(e notify.Event) {
		if e.Channel != notify.ChannelProgress {
			w.executor.Wake()
		}
		deliver(e)
	})
}
