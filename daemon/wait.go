package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/await"
	"github.com/bbmd-dev/bbmd/internal/dial"
)

type (
	// WaitFailedError says that waiting does not help, and why.
	WaitFailedError = await.FailedError
	// WaitTimeoutError says that what was waited for did not happen in time.
	WaitTimeoutError = await.TimeoutError
	// WaitFailure is what failed.
	WaitFailure = await.Failure
)

// WaitOptions say what [Wait] waits for. The zero value waits for the schemas of all databases that have one, for ever.
type WaitOptions struct {
	// Databases are those that it is about, by name. Nil: all that have a schema, or the only one.
	Databases []string
	// For is what is waited for, each one of schema, all, version=VERSION and migration=NAME. Nil: schema.
	For []string
	// Strict does not accept a schema that is newer than the files, or came from files that were others.
	Strict bool
	// Timeout ends the waiting. Zero: nothing does but its context.
	Timeout time.Duration
	// RetryGrace is for how long a failure may be somebody's to repeat. Zero: 30s. Negative: not at all.
	RetryGrace time.Duration
	// Progress is how often Say is called at least. Zero: 10s.
	Progress time.Duration
	// Say gets what it is waiting for, on one line. It may be called from several
	// goroutines at a time. Nil: nobody does.
	Say func(database, says string)
}

// errWaitedLong is why waiting ends after WaitOptions.Timeout.
var errWaitedLong = errors.New("not in time")

// Wait waits until every database is where it is needed. It needs to read and to listen, no more, and it waits for a
// database that is not there. The error joins a [*WaitFailedError] or a [*WaitTimeoutError] for each
// database that is not; the first failure ends the waiting for the others. Where schema_migrations.skip_version_check says so, nobody waits
// for a schema.
func Wait(ctx context.Context, cfg Config, opts WaitOptions) error {
	waiters, err := waitersOf(cfg, opts)
	if err != nil {
		return err
	}
	if opts.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, opts.Timeout, errWaitedLong)
		defer cancel()
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var (
		group sync.WaitGroup
		ended = make([]error, len(waiters))
	)
	for i, w := range waiters {
		group.Go(func() {
			err := w.Run(ctx)
			if errors.Is(err, errOtherFailed) {
				return // one says why
			}
			ended[i] = about(w.Target.Spec.Database, w.Ended(err, errWaitedLong, opts.Timeout))
			if err != nil {
				stop(errOtherFailed)
			}
		})
	}
	group.Wait()
	return errors.Join(ended...)
}

// errOtherFailed ends the waiting for a database where another one has failed.
var errOtherFailed = errors.New("another database has failed")

func waitersOf(cfg Config, opts WaitOptions) ([]*await.Waiter, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	goals, err := await.ParseGoals(opts.For)
	if err != nil {
		return nil, err
	}
	if cfg.SchemaMigrations.SkipVersionCheck {
		goals = slices.DeleteFunc(goals, func(g await.Goal) bool { return g.Kind == await.Schema })
	}
	if len(goals) == 0 {
		return nil, nil
	}
	names, err := waitedFor(cfg, opts.Databases, goals)
	if err != nil {
		return nil, err
	}
	waiters := make([]*await.Waiter, 0, len(names))
	for _, name := range names {
		w := &await.Waiter{
			Target:   await.Target{Spec: SchemaOptions{}.orDefaults(cfg).spec(cfg, name), Goals: goals, Strict: opts.Strict},
			Connect:  waitConnect(cfg.Databases[name], name),
			Progress: opts.Progress, RetryGrace: opts.RetryGrace,
		}
		if err := w.Target.Validate(); err != nil {
			return nil, err
		}
		if opts.Say != nil {
			w.Say = func(says string) { opts.Say(name, says) }
		}
		waiters = append(waiters, w)
	}
	return waiters, nil
}

// waitedFor returns the databases that are waited for.
func waitedFor(cfg Config, names []string, goals []await.Goal) ([]string, error) {
	for _, name := range names {
		if _, known := cfg.Databases[name]; !known {
			return nil, checkSchema(cfg, name)
		}
	}
	switch all := cfg.Names(); {
	case len(names) > 0:
		return names, nil
	case len(all) == 1 || !slices.Contains(goals, await.Goal{Kind: await.Schema}):
		names = all
	default:
		names = SchemaDatabases(cfg)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no database has a schema: %s", noSchemaHint)
	}
	if named := slices.IndexFunc(goals, func(g await.Goal) bool { return g.Name != "" }); named >= 0 && len(names) > 1 {
		return nil, fmt.Errorf("%s is about one database, and there are %d: name it", goals[named], len(names))
	}
	return names, nil
}

// waitConnect opens the only session that waiting needs, where notifications arrive.
func waitConnect(database Database, name string) func(context.Context) (*pgx.Conn, error) {
	if database.ListenURL != "" {
		database.URL, database.URLFile = database.ListenURL, ""
	}
	dialer := dial.New(database)
	return func(ctx context.Context) (*pgx.Conn, error) { return dialer.Connect(ctx, "bbmd/"+name+"/wait") }
}
