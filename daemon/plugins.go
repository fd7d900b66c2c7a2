package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/notify"
	"github.com/bbmd-dev/bbmd/plugins"
	"github.com/bbmd-dev/bbmd/plugins/process"
	"github.com/bbmd-dev/bbmd/plugins/sqlfile"
	"github.com/bbmd-dev/bbmd/registry"
)

// works are the Works that may run: those that are compiled in, and those of plugins.
type works struct {
	*plugins.Catalog
	processes *process.Source
	enabled   bool         // there may be plugins
	asked     *notify.Flag // somebody wants them loaded again
}

// newWorks returns the compiled Works until plugins are loaded. onChange is
// called when those change, nil never, and count of what becomes of programs. run has to be called, or close.
func newWorks(cfg config.Plugins, compiled *registry.Registry, log *slog.Logger, version string, onChange func(context.Context), count func(plugin, event string)) *works {
	w := &works{processes: process.NewSource(process.Options{Logger: log, Daemon: version, Count: count}), enabled: cfg.Dir != "", asked: notify.NewFlag()}
	w.Catalog = plugins.New(plugins.Options{
		Compiled: compiled,
		Dir:      cfg.Dir,
		Sources:  []plugins.Source{sqlfile.Source{}, w.processes},
		LockFile: cfg.Lock,
		Policies: map[plugins.Kind]plugins.Policy{
			plugins.KindSQL: plugins.Policy(cfg.Verify.SQL), plugins.KindProcess: plugins.Policy(cfg.Verify.Process),
		},
		Logger:   log,
		OnChange: onChange,
	})
	return w
}

// load loads the plugins, and keeps what programs of theirs could read in this
// process from them. That plugins cannot be loaded is logged, and keeps no
// compiled Work from running.
func (w *works) load(ctx context.Context, log *slog.Logger) {
	if !w.enabled {
		return
	}
	if err := process.Undumpable(); err != nil {
		log.WarnContext(ctx, "programs of plugins can read the memory of this process", "error", err)
	}
	if err := w.Reload(ctx); err != nil {
		log.ErrorContext(ctx, "plugins not loaded", "error", err)
	}
}

// close ends what plugins run, and waits for it.
func (w *works) close(ctx context.Context) error {
	err := w.Close()
	ctx, cancel := context.WithCancel(ctx)
	cancel() // Run closes and waits once its context has ended
	_ = w.processes.Run(ctx)
	return err
}

// Plugins returns a catalog of the Works that are compiled in and of the plugins
// that the configuration names, loaded once, for commands to show and try, and
// what ends the programs of plugins again. Compiled Works are works, nil those of
// [registry.Default]. The error says why the plugins could not be loaded.
func Plugins(ctx context.Context, cfg Config, compiled *registry.Registry, log *slog.Logger) (catalog *plugins.Catalog, closeAll func() error, err error) {
	if compiled == nil {
		compiled = registry.Default()
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	w := newWorks(cfg.Plugins, compiled, log, "", nil, nil)
	closeAll = func() error { return w.close(context.WithoutCancel(ctx)) }
	if err := w.Reload(ctx); err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	return w.Catalog, closeAll, nil
}

// reloadHint is what an event of the channel [notify.ChannelNew] carries where
// not only migrations may be new, but the Works of plugins as well.
const reloadHint = "plugins"

// listeningSQL counts the daemons that listen for events on this database. Before
// PostgreSQL 14 what is only raised does not reach those that decode the log.
const listeningSQL = `
SELECT count(*) FROM pg_catalog.pg_stat_activity
WHERE datname = current_database() AND (application_name = 'bbmd/listener'
  OR application_name = 'bbmd/stream' AND current_setting('server_version_num')::int >= 140000)`

// ReloadPlugins asks every daemon that listens on a database to load its plugins
// again, those whose programs have crashed included, and returns how many
// listen. It does not wait for them. Who has no plugins does nothing.
func ReloadPlugins(ctx context.Context, conn *pgx.Conn) (listening int, err error) {
	if err := conn.QueryRow(ctx, listeningSQL, pgx.QueryExecModeExec).Scan(&listening); err != nil {
		return 0, fmt.Errorf("count the daemons that listen: %w", err)
	}
	if _, err := conn.Exec(ctx, notify.RaiseSQL, pgx.QueryExecModeExec, notify.ChannelNew, reloadHint); err != nil {
		return 0, fmt.Errorf("raise an event: %w", err)
	}
	return listening, nil
}

// reloadPlugins loads plugins again when somebody asks for it, until ctx ends.
func (d *Daemon) reloadPlugins(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-d.works.asked.Wait():
			d.works.load(ctx, d.logger)
			d.logger.InfoContext(ctx, "plugins loaded again, as somebody has asked")
		}
	}
}

// lookAfterPlugins loads plugins again when they change, until ctx ends.
// Programs of theirs end when no batch runs any more.
func (d *Daemon) lookAfterPlugins(ctx context.Context) error {
	err := d.works.Run(ctx)
	<-d.drained
	return errors.Join(err, d.works.close(context.WithoutCancel(ctx)))
}

// pluginsChanged makes all executors look: a migration may go on, or has to stop.
func (d *Daemon) pluginsChanged(context.Context) {
	d.countPlugins()
	d.forgetPlugins()
	for _, db := range d.databases {
		if e := db.executor.Load(); e != nil {
			e.Wake()
		}
		db.plugins.Set()
	}
}

// prepareTimeout bounds one attempt to ask a database about all plugins.
const prepareTimeout = time.Minute

// preparePlugins asks the database about plugins whenever they change, and logs
// what it would refuse: early, since a migration is told only when it starts.
func (d *database) preparePlugins(ctx context.Context) error {
	for {
		if err := d.askPlugins(ctx); err != nil && ctx.Err() == nil {
			d.log.WarnContext(ctx, "plugins not prepared", "error", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-d.plugins.Wait():
		}
	}
}

func (d *database) askPlugins(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	conn, err := d.dialer.Connect(ctx, d.application())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // it is of no more use, whatever the answer
	refused, err := d.works.Snapshot().Prepare(ctx, conn)
	for _, p := range refused {
		d.log.WarnContext(ctx, "plugin would be refused by the database", "plugin", p.Name, "path", p.Origin.Path, "reason", p.Reason)
	}
	return err
}
