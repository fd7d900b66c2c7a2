package initialize

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"

	"github.com/bbmd-dev/bbmd/internal/history"
)

// gooseRunner runs goose's migrations through goose itself, one at a time.
// Checksums, retries and what a failure says are ours: goose has none of these.
type gooseRunner struct{ spec Spec }

var _ runner = gooseRunner{}

// gooseRun is one run of it on one database.
type gooseRun struct {
	spec     Spec
	to       target
	watch    watcher
	trace    *trace
	db       *sql.DB
	files    checkedFiles
	store    *gooseStore
	provider *goose.Provider
	untold   *history.Step // is committed, and the watcher hears of it with what comes next
}

func (g gooseRunner) run(ctx context.Context, to target, pending []history.Step, watch watcher) (err error) {
	if len(pending) == 0 {
		return nil
	}
	if err := furnish(ctx, g.spec, to); err != nil {
		return err
	}
	r := &gooseRun{spec: g.spec, to: to, watch: watch, files: newCheckedFiles(g.spec.Migrations), trace: &trace{lockTimeout: g.spec.Limits.orDefaults().LockTimeout}}
	defer func() { r.close(ctx, err) }()
	if err := r.open(ctx); err != nil {
		return err
	}
	defer reportWaits(ctx, g.spec, to, waitsAfter, waitsEvery)()
	for _, step := range pending {
		if len(step.Requires) > 0 { // that may take hours
			if err := r.settle(ctx); err != nil {
				return err
			}
		}
		if err := require(ctx, r.spec, to, step); err != nil {
			return err
		}
		if err := r.step(ctx, step); err != nil {
			if untold := r.settle(ctx); untold != nil {
				err = errors.Join(err, untold)
			}
			return err
		}
	}
	return r.settle(ctx)
}

// settle tells the watcher of a step that is committed, if it has not heard of it.
func (r *gooseRun) settle(ctx context.Context) error {
	if r.untold == nil {
		return nil
	}
	step := *r.untold
	r.untold = nil
	return r.watch.done(ctx, step)
}

// announce tells the watcher that a step begins, and of the one before that it is done, while goose gets
// ready. What it returns waits for that.
func (r *gooseRun) announce(ctx context.Context, step history.Step) func() error {
	before := r.untold
	r.untold = nil
	told := make(chan error, 1)
	go func() {
		if before != nil {
			told <- r.watch.next(ctx, *before, step)
			return
		}
		told <- r.watch.started(ctx, step)
	}()
	return sync.OnceValue(func() error { return <-told })
}

// open makes goose's provider, on sessions with our limits.
func (r *gooseRun) open(ctx context.Context) error {
	conn, err := r.to.connect(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer hangUp(ctx, conn)
	at, err := gooseTable(ctx, conn, r.spec, r.to.table)
	if err != nil {
		return err
	}
	r.store, err = newGooseStore(at)
	if err != nil {
		return err
	}
	r.db = openSQL(conn.Config(), r.spec.Limits, r.trace)
	options, err := gooseOptions(r.spec, r.store)
	if err != nil {
		return err
	}
	r.provider, err = goose.NewProvider(goose.DialectCustom, r.db, r.files, options...)
	if err != nil {
		return &ConfigError{Database: r.spec.Database, Err: fmt.Errorf("goose: read %s: %w", r.spec.Migrations, err)}
	}
	return nil
}

// close ends the sessions. Where it is not the server that said why a step failed, it makes sure that no
// statement is at work any more.
func (r *gooseRun) close(ctx context.Context, failed error) {
	if r.db == nil {
		return
	}
	if err := r.db.Close(); err != nil {
		fprintf(r.to.log, "close the sessions: %v\n", err)
	}
	if _, refused := errors.AsType[*pgconn.PgError](failed); failed == nil || refused && ctx.Err() == nil {
		return
	}
	if err := endSessions(ctx, r.to); err != nil {
		fprintf(r.to.log, "end the sessions: %v\n", err)
	}
}

// gooseOptions hides the source files of Go migrations from goose: they are compiled in, and goose would write
// their paths into what all databases of this process share.
func gooseOptions(s Spec, store *gooseStore) ([]goose.ProviderOption, error) {
	options := []goose.ProviderOption{goose.WithStore(store), goose.WithSlog(slog.New(slog.DiscardHandler))}
	sources, err := filepath.Glob(filepath.Join(s.Migrations, "*.go"))
	if err != nil {
		return nil, fmt.Errorf("list Go files in %s: %w", s.Migrations, err)
	}
	for i := range sources {
		sources[i] = filepath.Base(sources[i])
	}
	options = append(options, goose.WithExcludeNames(sources))
	if s.HistoryOptions.Go != nil {
		options = append(options, goose.WithDisableGlobalRegistry(true), goose.WithGoMigrations(s.HistoryOptions.Go...))
	}
	return options, nil
}

// step applies one migration, again when others were in the way and nothing of it is done.
func (r *gooseRun) step(ctx context.Context, step history.Step) error {
	version, err := strconv.ParseInt(step.Version, 10, 64)
	if err != nil {
		return &StepError{Version: step.Version, Name: step.Name, File: step.File, Err: fmt.Errorf("goose has numbers for versions: %w", err)}
	}
	text, err := r.files.check(step)
	if err != nil {
		return &StepError{Version: step.Version, Name: step.Name, File: step.File, Err: err}
	}
	known, err := r.invalid(ctx, step)
	if err != nil {
		return err
	}
	var told error // by the watcher: not the step's fault
	err = r.spec.Limits.orDefaults().retry(ctx, func() error {
		ctx := context.WithValue(ctx, renewalKey{}, &renewal{may: r.untold != nil}) // without a pause the session is still there
		r.store.ready = r.announce(ctx, step)
		r.trace.begin(text)
		_, err := r.provider.ApplyVersion(ctx, version, true)
		if told = r.store.ready(); told != nil {
			return told
		}
		if errors.Is(err, goose.ErrAlreadyApplied) {
			fprintf(r.to.log, "%s is applied already: by somebody who does not use bbmd\n", step.Version)
			return nil
		}
		return strip(step, err)
	}, func(err error) bool { return told == nil && contended(err) && r.trace.undone() }, func(err error, pause time.Duration) {
		fprintf(r.to.log, "%s: %v: again in %s\n", placeOf(step), err, pause.Round(time.Millisecond))
	})
	switch {
	case told != nil:
		return told
	case err != nil:
		return r.explain(ctx, step, known, err)
	default:
		r.untold = &step
		return nil
	}
}

// placeOf is what a step is called in messages.
func placeOf(step history.Step) string {
	if step.File != "" {
		return step.File
	}
	return strings.TrimSpace(step.Version + " " + step.Name)
}

// fprintf says something to people. There is nobody to tell when that fails.
func fprintf(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }

// gooseTable says where goose keeps its versions: qualified, since migrations may empty the search path.
func gooseTable(ctx context.Context, conn *pgx.Conn, s Spec, there history.Record) (history.Place, error) {
	at := there.Place()
	if at.Table == "" {
		schema, table, found := strings.Cut(s.VersionTable, ".")
		if !found {
			schema, table = "", s.VersionTable
		}
		at = history.Place{Schema: schema, Table: table}
	}
	if at.Table == "" {
		at.Table = goose.DefaultTablename
	}
	if at.Schema != "" {
		return at, nil
	}
	var current *string
	if err := conn.QueryRow(ctx, "SELECT current_schema()").Scan(&current); err != nil {
		return at, fmt.Errorf("look where goose's table goes: %w", err)
	}
	if current == nil {
		return at, &ConfigError{Database: s.Database, Err: errors.New("the search path leads to no schema, and goose's version table has to go somewhere: " +
			"CREATE SCHEMA, or ALTER ROLE … SET search_path, or give version_table")}
	}
	at.Schema = *current
	return at, nil
}
