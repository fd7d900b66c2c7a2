package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrNoCreateDB is wrapped by the error of [Shadow] when the role may not
// create databases: grant it CREATEDB, or do without a shadow.
var ErrNoCreateDB = errors.New("role may not create databases")

// Connect opens a direct connection, not one through a transaction pooler, to
// a database of the server by its name, not quoted, or to the database that a
// [Shadow] is for when the name is empty. Who calls it closes the connection.
type Connect func(ctx context.Context, database string) (*pgx.Conn, error)

// ShadowOptions say what the shadow is like. The zero value is an empty database.
type ShadowOptions struct {
	// Template is the database to copy, by default template0 with the
	// encoding and the locale of the database that the shadow is for.
	Template string
	// Extensions makes the extensions of the database in the shadow first, as
	// far as the role can: for declarations that use extensions and do not
	// create them. Those that could not be made are named in the error, should
	// the function fail.
	Extensions bool
}

// cleanup bounds what Shadow does whatever happens to its context: creating
// and dropping a database may wait for a checkpoint.
const cleanup = 5 * time.Minute

// Shadow creates a throw-away database on the server, with the settings
// (ALTER DATABASE … SET) of the database that it is for, runs a function with a
// connection to it, and drops it after the function has returned, whatever
// happens, also when ctx has ended. The connection's Config has the shadow's name; the
// function may open more, and leave them open. Shadows that crashed processes
// left behind more than ten minutes ago are dropped first.
//
// It returns the error of the function joined with that of dropping the database.
func Shadow(ctx context.Context, connect Connect, options ShadowOptions, run func(ctx context.Context, shadow *pgx.Conn) error) (err error) {
	var origin origin
	err = visit(ctx, connect, "", func(conn *pgx.Conn) error {
		if err := demandCreateDB(ctx, conn); err != nil {
			return err
		}
		dropLeftovers(ctx, conn)
		var err error
		origin, err = createShadow(ctx, conn, options)
		return err
	})
	if origin.shadow != "" {
		// Whatever happens: also when run panics.
		defer func() { err = errors.Join(err, dropShadow(ctx, connect, origin.shadow)) }()
	}
	if err != nil {
		return fmt.Errorf("create a shadow database: %w", err)
	}
	return visit(ctx, connect, origin.shadow, func(conn *pgx.Conn) error {
		refused := origin.createExtensions(ctx, conn)
		err := run(ctx, conn)
		if err != nil && len(refused) > 0 {
			return fmt.Errorf("%w; the shadow database lacks extensions that could not be created in it: %w", err, errors.Join(refused...))
		}
		return err
	})
}

// visit runs a function on a connection of its own, whose statements take as
// long as they need: copying a database may outlast a time-out that is meant for batches.
func visit(ctx context.Context, connect Connect, database string, do func(conn *pgx.Conn) error) error {
	conn, err := connect(ctx, database)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
		defer cancel()
		_ = conn.Close(ctx) // nothing depends on how it ends
	}()
	if _, err := conn.Exec(ctx, "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0"); err != nil {
		return fmt.Errorf("set up the session: %w", err)
	}
	return do(conn)
}

func demandCreateDB(ctx context.Context, conn *pgx.Conn) error {
	var role string
	var may bool
	err := conn.QueryRow(ctx, "SELECT rolname::text, rolcreatedb OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user").Scan(&role, &may)
	if err != nil {
		return fmt.Errorf("look up what the role may do: %w", err)
	}
	if !may {
		return fmt.Errorf("%w: %s lacks CREATEDB; a superuser can grant it with ALTER ROLE %s CREATEDB", ErrNoCreateDB, role, pgx.Identifier{role}.Sanitize())
	}
	return nil
}

func dropShadow(ctx context.Context, connect Connect, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
	defer cancel()
	err := visit(ctx, connect, "", func(conn *pgx.Conn) error {
		drop := "DROP DATABASE IF EXISTS " + pgx.Identifier{name}.Sanitize()
		_, err := conn.Exec(ctx, drop+" WITH (FORCE)")
		var pgErr *pgconn.PgError
		if errors.As(err, &pgErr) && pgErr.Code == insufficientPrivilege {
			// Autovacuum is at work there: PostgreSQL lets no ordinary role end that, and without FORCE ends it itself.
			_, err = conn.Exec(ctx, drop)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("drop the shadow database %s, which the next shadow will try again: %w", name, err)
	}
	return nil
}

// leftoversSQL has shadows that nobody is connected to (but autovacuum, which
// has no role), though their process has had ten minutes for it. Their names tell
// the time of the server at which they were made.
const leftoversSQL = `
SELECT d.datname::text FROM pg_catalog.pg_database d
WHERE d.datname ~ '^bbmd_shadow_[0-9]{10}_[0-9a-f]{8}$' AND pg_catalog.pg_has_role(d.datdba, 'USAGE')
  AND substr(d.datname, 13, 10)::bigint < extract(epoch FROM now()) - 600
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid AND a.usesysid IS NOT NULL)`

// dropLeftovers drops what crashed processes have left. It is a favour: that
// it fails, or that another process is faster, is no reason not to go on.
func dropLeftovers(ctx context.Context, conn *pgx.Conn) {
	rows, err := conn.Query(ctx, leftoversSQL)
	if err != nil {
		return
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return
	}
	for _, name := range names {
		// Without FORCE: PostgreSQL refuses while somebody is connected.
		_, _ = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()) // see above
	}
}

// sqlQuote quotes a text for SQL.
func sqlQuote(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		return " E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}
