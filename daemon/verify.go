package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/bbmd-dev/bbmd/internal/initialize"
)

// The errors of [Verify] and [VerifyAll] that a caller acts upon, with
// errors.As.
type (
	// PendingError says that the database is not where the code needs it to be,
	// and that a migration would bring it there: wait, or migrate.
	PendingError = initialize.PendingError
	// RefusalError says that somebody has to decide about the database first. Its
	// text has the way out.
	RefusalError = initialize.RefusalError
)

// Verify is what a service calls when it starts: it returns nil when the schema of its database is
// where the files of the configuration say, or further, and else a [*PendingError] or a
// [*RefusalError]. It reads, and changes nothing.
//
// The database is looked for in cfg by pool's host, port and name; where cfg has
// one database it is that one. schema_migrations.skip_version_check
// (SKIP_MIGRATION_VERSION_CHECK in the environment) makes it return nil without a look.
func Verify(ctx context.Context, pool *pgxpool.Pool, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	if cfg.SchemaMigrations.SkipVersionCheck {
		return nil
	}
	name, err := databaseOf(pool, cfg)
	if err != nil {
		return err
	}
	if err := checkSchema(cfg, name); err != nil {
		return err
	}
	return initialize.VerifyOn(ctx, pool, SchemaOptions{}.orDefaults(cfg).spec(cfg, name))
}

// databaseOf returns the name of the database that a pool leads to.
func databaseOf(pool *pgxpool.Pool, cfg Config) (string, error) {
	names := cfg.Names()
	if len(names) == 1 {
		return names[0], nil
	}
	leads := pool.Config().ConnConfig
	found := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		conn, err := cfg.Databases[name].ConnString()
		if err != nil {
			return true
		}
		to, err := pgconn.ParseConfig(conn)
		return err != nil || to.Host != leads.Host || to.Port != leads.Port || to.Database != leads.Database
	})
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", fmt.Errorf("verify: the pool leads to %s:%d/%s, which is none of the databases %s: give a configuration with one database",
			leads.Host, leads.Port, leads.Database, strings.Join(names, ", "))
	default:
		return "", errors.New("verify: the pool leads to several of the databases: give a configuration with one: " + strings.Join(found, ", "))
	}
}

// verify is what on_start: verify, and `bbmd verify`, do about one database.
func verify(ctx context.Context, cfg Config, spec initialize.Spec) error {
	if cfg.SchemaMigrations.SkipVersionCheck {
		return nil
	}
	return initialize.Verify(ctx, spec)
}

// VerifyAll says of every database whether its schema is where its files say, or further. The error joins
// a [*PendingError] or a [*RefusalError] for each that is not.
func VerifyAll(ctx context.Context, cfg Config, opts SchemaOptions) ([]Outcome, error) {
	return eachDatabase(ctx, cfg, opts, func(ctx context.Context, spec initialize.Spec) (o Outcome) {
		if cfg.SchemaMigrations.SkipVersionCheck {
			return o
		}
		o.found(initialize.Inspect(ctx, spec))
		if o.Err == nil && !o.Finding.UpToDate() {
			o.Err = initialize.Verify(ctx, spec)
		}
		return o
	})
}
