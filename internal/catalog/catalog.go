package catalog

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// DB is a connection, a pool or a transaction.
type DB interface {
	Begin(ctx context.Context) (pgx.Tx, error)
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

var (
	_ DB = (*pgx.Conn)(nil)
	_ DB = (*pgxpool.Pool)(nil)
	_ DB = pgx.Tx(nil)
)

// Name is a table's, as in the catalog: not quoted.
type Name struct {
	Schema string `json:"schema"`
	Table  string `json:"table"`
}

// String returns the name quoted for SQL where it has to be.
func (n Name) String() string { return quote(n.Schema) + "." + quote(n.Table) }

// Options say what is not looked at. The zero value looks at everything that
// is a user's.
type Options struct {
	// Exclude are schemas, not quoted, that are left out with all that is in
	// them: bbmd's control schema.
	Exclude []string
	// VersionTables are the tables in which migration tools keep their
	// versions. [Take] and [Fingerprint] leave them out with their sequences;
	// [UserObjects] marks them.
	VersionTables []Name
}

// Object is one thing that users have made in a schema.
type Object struct {
	// Kind is PostgreSQL's word for it: table, view, materialized view,
	// sequence, foreign table, type, function, procedure, aggregate, operator…
	Kind string `json:"kind"`
	// Schema and Name as in the catalog, not quoted; a function's name is
	// without its arguments.
	Schema string `json:"schema,omitempty"`
	Name   string `json:"name"`
	// Identity is the name as SQL has it: quoted, with the schema, and with
	// the types of arguments.
	Identity string `json:"identity"`
	// Owner is the role that owns it, not quoted.
	Owner string `json:"owner,omitempty"`
	// Version is true for a table of [Options.VersionTables].
	Version bool `json:"version,omitempty"`
}

// String returns, for example, "table billing.invoice".
func (o Object) String() string { return o.Kind + " " + o.Identity }
