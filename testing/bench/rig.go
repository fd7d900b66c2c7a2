package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/dial"
	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/notify"
	"github.com/bbmd-dev/bbmd/registry"
)

// The names of the Works that are measured.
const (
	workSQL = "bench_sql"
	workGo  = "bench_go"
	workAny = "bench_any" // on any table
)

// works returns the same work in the two forms that a Work may have, and further ones.
func works(further []registry.Work) (*registry.Registry, error) {
	r := registry.New()
	err := r.Register(further...)
	if err != nil {
		return nil, err
	}
	err = r.Register(
		registry.Work{Name: workSQL, SQL: updateRows},
		registry.Work{Name: workGo, Run: func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
			tag, err := tx.Exec(ctx, update+b.Where(), b.Args()...)
			return registry.Affected(tag), err
		}},
		registry.Work{Name: workAny, SQL: func(m registry.Migration) (registry.Statement, error) {
			return registry.ParseStatement("UPDATE " + m.Table + " SET b = b + 1 WHERE :range")
		}},
	)
	return r, err
}

// rig is an executor and its listener on a database, wired as a daemon does it.
type rig struct {
	*watcher

	db       *database
	dialer   *dial.Dialer
	executor *executor.Executor
	settings executor.Settings
	listener *notify.Listener
	pool     *pgxpool.Pool
	cancel   context.CancelCauseFunc
	ended    sync.WaitGroup
	count    int // migrations so far
}

var errOver = errors.New("the measurement is over")

// newRig starts an executor and a listener, and returns when both wait for events.
func newRig(ctx context.Context, d *database, settings executor.Settings, logger *slog.Logger, further ...registry.Work) (*rig, error) {
	r := &rig{db: d, settings: settings, watcher: newWatcher()}
	registered, err := works(further)
	if err != nil {
		return nil, err
	}
	r.dialer = dial.New(config.Database{URL: config.URL(d.url)})
	if r.pool, err = r.controlPool(ctx); err != nil {
		return nil, fmt.Errorf("open the control pool: %w", err)
	}
	r.executor = executor.New(executor.Options{
		Database: d.name, Pool: r.pool, Connect: r.connect, Store: control.NewStore(""), Registry: registered,
		Logger: logger, Observer: r.watcher, Settings: settings,
	})
	if r.listener, err = notify.NewListener(notify.ListenerConfig{URL: d.url, Logger: logger}); err != nil {
		r.pool.Close()
		return nil, err
	}
	running, cancel := context.WithCancelCause(ctx)
	r.cancel = cancel
	r.ended.Go(func() { _ = r.executor.Run(running) }) // it returns the cause that close gives
	r.ended.Go(func() { _ = r.listener.Run(running, r.deliver) })
	if err := await(ctx, r.events); err != nil {
		r.close()
		return nil, err
	}
	return r, r.quiet(ctx)
}

// controlPool opens the daemon's pool, and lets the watcher see what is written on it.
func (r *rig) controlPool(ctx context.Context) (*pgxpool.Pool, error) {
	pool, err := r.dialer.Pool(ctx, "bbmd/"+r.db.name, 4)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	watched := pool.Config()
	connect := watched.BeforeConnect
	watched.BeforeConnect = func(ctx context.Context, into *pgx.ConnConfig) error {
		if err := connect(ctx, into); err != nil {
			return err
		}
		into.DialFunc = r.dial(into.DialFunc)
		return nil
	}
	return pgxpool.NewWithConfig(ctx, watched)
}

// connect opens a worker's session, and remembers its backend.
func (r *rig) connect(ctx context.Context, application string) (*pgx.Conn, error) {
	conn, err := r.dialer.Connect(ctx, application)
	if err == nil {
		r.session(conn.PgConn().PID())
	}
	return conn, err
}

func (r *rig) deliver(e notify.Event) {
	if e.Channel == notify.ChannelProgress {
		return
	}
	at := time.Now()
	r.executor.Wake()
	r.event(e, at)
}

func (r *rig) close() {
	r.cancel(errOver)
	r.ended.Wait()
	r.pool.Close()
}

// configure changes the settings and waits until they are in force.
func (r *rig) configure(ctx context.Context, change func(*executor.Settings)) error {
	change(&r.settings)
	r.executor.Configure(r.settings)
	return r.quiet(ctx)
}

// timing is what one slice took.
type timing struct {
	wall      time.Duration
	migration string        // name; empty for what is not an executor's
	cpu       time.Duration // of clients other than this process
}

// migrate runs a migration over a slice, and takes the time from the event that woke the
// executor until the migration is finished.
func (r *rig) migrate(ctx context.Context, work string, s slice, parallelism int) (timing, error) {
	r.count++
	name := fmt.Sprintf("%s_%d", work, r.count)
	r.forget()
	_, err := r.db.admin.Exec(ctx, `SELECT bbm.enqueue($1, 'bench_rows', name => $2, batch_size => $3, parallelism => $4, min_value => $5, max_value => $6, target_duration => '0')`,
		work, name, s.size, parallelism, s.first(), s.last())
	if err != nil {
		return timing{}, fmt.Errorf("enqueue %s: %w", name, err)
	}
	woken, end, err := r.followed(ctx, name)
	if err != nil {
		return timing{}, err
	}
	return timing{wall: end.Sub(woken), migration: name}, r.quiet(ctx)
}

// followed waits for the event that announced the migration and for its end.
func (r *rig) followed(ctx context.Context, name string) (woken, end time.Time, err error) {
	for woken.IsZero() || end.IsZero() {
		select {
		case e := <-r.events:
			if e.channel == notify.ChannelNew {
				woken = e.at
			}
		case e := <-r.ends:
			if e.migration != name || e.status != control.StatusFinished {
				return woken, end, fmt.Errorf("migration %s is %s, while %s was running", e.migration, e.status, name)
			}
			end = e.at
		case <-ctx.Done():
			return woken, end, fmt.Errorf("wait for %s: %w", name, context.Cause(ctx))
		}
	}
	return woken, end, nil
}
