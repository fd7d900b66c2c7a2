package control

import (
	"cmp"
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// DB is a connection, a pool or a transaction.
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// TxDB is a connection or a pool: where a transaction can begin.
type TxDB interface {
	DB
	Begin(ctx context.Context) (pgx.Tx, error)
}

var (
	_ DB = (*pgx.Conn)(nil)
	_ DB = (*pgxpool.Pool)(nil)
	_ DB = pgx.Tx(nil)
)

// Store is the set of queries on one control schema. It holds no connection
// and is safe for concurrent use. The zero value is the store of [DefaultSchema].
type Store struct {
	schema string // unquoted; empty: DefaultSchema
}

// NewStore returns the store of the control schema with that name, by default
// [DefaultSchema].
func NewStore(schema string) Store { return Store{schema: schema} }

// name returns the control schema's name as the catalog has it.
func (s Store) name() string { return cmp.Or(s.schema, DefaultSchema) }

// Schema returns the control schema's name, quoted for SQL.
func (s Store) Schema() string {
	if s.name() == DefaultSchema {
		return DefaultSchema
	}
	return pgx.Identifier{s.schema}.Sanitize()
}

// sql returns text, which says "bbm." throughout, for the store's schema.
func (s Store) sql(text string) string {
	text = strings.ReplaceAll(text, "@schema@", s.Schema())
	if s.Schema() == DefaultSchema {
		return text
	}
	return strings.ReplaceAll(text, "bbm.", s.Schema()+".")
}
