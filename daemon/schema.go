package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bbmd-dev/bbmd/internal/catalog"
	"github.com/bbmd-dev/bbmd/internal/dial"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/registry"
)

type (
	// Finding is what a database's schema was found to be, and what would be
	// done about it, as `bbmd plan --output json` shows it.
	Finding = initialize.Finding
	// SchemaResult is what was done about a database's schema.
	SchemaResult = initialize.Result
	// SchemaDifference is how a schema differs from the declared one.
	SchemaDifference = catalog.Difference
)

// SchemaOptions say how [Plan], [Migrate], [VerifyAll], [Baseline], [Stamp] and
// [Reset] go about it. The zero value is fine.
type SchemaOptions struct {
	// Databases are those that it is about, by name. Nil: all that have a schema.
	Databases []string
	// Parallel is how many at a time. Defaults to 0: schema_migrations.parallel.
	Parallel int
	// Compare makes [Plan] compare each database with the declared schema, which is built in a
	// throw-away database on the same server. It needs the right to create one.
	Compare bool
	// Finalize runs the background migrations that a schema migration requires in this
	// process, without throttle, instead of waiting until daemons have finished them.
	Finalize bool
	// AcceptNewer makes [Migrate] content with a database that is further than the files: an older release, after
	// a roll-back.
	AcceptNewer bool
	// Logger gets what happens. Nil: nobody does.
	Logger *slog.Logger
	// Works may run, where background migrations run in this process. Nil: [registry.Default].
	Works *registry.Registry
	// Version of bbmd, for bbm.runs.
	Version string
}

// Outcome is what came of one database.
type Outcome struct {
	Database string        // its name in the configuration
	Finding  *Finding      // what was found; nil where only the result says it
	Result   *SchemaResult // what was done; nil: nothing was tried
	// Difference from the declared schema; nil where nobody has compared.
	Difference *SchemaDifference
	Newer      bool // it is further than the files, and that was accepted
	Took       time.Duration
	Err        error
}

// noSchemaHint is the way out where nothing is configured to bring a database up with.
const noSchemaHint = "set schema.migrations, schema.models or schema.command of it, or discover"

// Plan says of every database what its schema is and what [Migrate] would do
// about it. It changes nothing, and takes no lock. A database that somebody would have to
// decide about is no error: its plan says so.
func Plan(ctx context.Context, cfg Config, opts SchemaOptions) ([]Outcome, error) {
	return eachDatabase(ctx, cfg, opts, func(ctx context.Context, spec initialize.Spec) (o Outcome) {
		o.found(initialize.Inspect(ctx, spec))
		if o.Err != nil || !opts.Compare || o.Finding.State == initialize.Empty {
			return o
		}
		difference, err := initialize.Differences(ctx, spec)
		if err == nil {
			o.Difference = &difference
		}
		o.Err = err
		return o
	})
}

// Migrate brings the schemas of databases to where their files say: it creates
// what is empty, runs what is pending and adopts what has no history. Several run
// beside each other, and one that fails does not stop the others. The outcomes are in the order of the names; the error
// joins theirs.
//
// Any number of processes may do so at the same time: one acts, the others
// wait for it and find it done.
func Migrate(ctx context.Context, cfg Config, opts SchemaOptions) ([]Outcome, error) {
	return eachDatabase(ctx, cfg, opts, func(ctx context.Context, spec initialize.Spec) (o Outcome) {
		o.done(initialize.Apply(ctx, spec))
		if opts.AcceptNewer {
			o.acceptNewer(ctx, spec)
		}
		return o
	})
}

func (o *Outcome) found(f Finding, err error) {
	if err == nil {
		o.Finding = &f
	}
	o.Err = err
}

func (o *Outcome) done(r SchemaResult, err error) {
	if r.Database != "" {
		o.Result = &r
	}
	o.Err = err
}

// SchemaDatabases returns the names of the databases that have a schema, sorted.
func SchemaDatabases(cfg Config) []string {
	return slices.DeleteFunc(cfg.Names(), func(name string) bool { return !cfg.Databases[name].Schema.Configured() })
}

// chosen returns the databases that the options are about.
func (o SchemaOptions) chosen(cfg Config) ([]string, error) {
	if o.Databases == nil {
		names := SchemaDatabases(cfg)
		if len(names) == 0 {
			return nil, fmt.Errorf("no database has a schema: %s", noSchemaHint)
		}
		return names, nil
	}
	var problems []error
	for _, name := range o.Databases {
		if err := checkSchema(cfg, name); err != nil {
			problems = append(problems, err)
		}
	}
	return o.Databases, errors.Join(problems...)
}

// checkSchema says why a database is none that schemas can be brought up of.
func checkSchema(cfg Config, name string) error {
	database, ok := cfg.Databases[name]
	outside, unreachable := cfg.Others()
	switch {
	case ok && database.Schema.Configured():
		return nil
	case ok:
		return fmt.Errorf("database %s has no schema: %s", name, noSchemaHint)
	case slices.Contains(outside, name):
		return fmt.Errorf("database %s is not in the profile %s", name, cfg.Profile)
	case slices.Contains(unreachable, name):
		return fmt.Errorf("database %s was discovered, and nothing says how to reach it: set its …_DATABASE_URL", name)
	default:
		return fmt.Errorf("no database %q in the configuration: it has %s", name, strings.Join(cfg.Names(), ", "))
	}
}

func (o SchemaOptions) orDefaults(cfg Config) SchemaOptions {
	if o.Parallel <= 0 {
		o.Parallel = cfg.SchemaMigrations.Parallel
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Works == nil {
		o.Works = registry.Default()
	}
	return o
}

// spec returns what a database's schema should be.
func (o SchemaOptions) spec(cfg Config, name string) initialize.Spec {
	return specOf(cfg, name, schemaContext{
		dialer: dial.New(cfg.Databases[name]), works: o.Works, logger: o.Logger, version: o.Version, finalize: o.Finalize,
	})
}

// eachDatabase does something about every chosen database, some at a time.
func eachDatabase(ctx context.Context, cfg Config, opts SchemaOptions, do func(context.Context, initialize.Spec) Outcome) ([]Outcome, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	names, err := opts.chosen(cfg)
	if err != nil {
		return nil, err
	}
	opts = opts.orDefaults(cfg)
	var (
		group    sync.WaitGroup
		turns    = make(chan struct{}, opts.Parallel)
		outcomes = make([]Outcome, len(names))
	)
	for i, name := range names {
		group.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			began := time.Now()
			outcomes[i] = do(ctx, opts.spec(cfg, name))
			outcomes[i].Database, outcomes[i].Took = name, time.Since(began)
			outcomes[i].Err = about(name, outcomes[i].Err)
		})
	}
	group.Wait()
	return outcomes, joined(outcomes)
}

// about makes an error say which database it is about.
func about(name string, err error) error {
	prefix := "database " + name + ": "
	if err == nil || strings.HasPrefix(err.Error(), prefix) {
		return err
	}
	return fmt.Errorf("%s%w", prefix, err)
}

func joined(outcomes []Outcome) error {
	problems := make([]error, 0, len(outcomes))
	for i := range outcomes {
		problems = append(problems, outcomes[i].Err)
	}
	return errors.Join(problems...)
}
