package sqlfile

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/registry"
)

// ErrNoTable says that a database does not have the table that a file is about.
var ErrNoTable = errors.New("table does not exist")

const keySQL = `
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod)
FROM pg_catalog.pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place)
JOIN pg_catalog.pg_attribute a ON true
WHERE i.indrelid = to_regclass($1) AND i.indisprimary AND a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.place <= i.indnkeyatts
ORDER BY k.place`

// Prepare lets PostgreSQL plan everything in the file, in a transaction that is
// rolled back and reads only, for a batch along the primary key. Parameters
// without a default are NULL. It returns an error that wraps [ErrNoTable] where
// the database has not the table, and nil where the table has no primary key,
// since then only a migration knows the key. What it accepts may be refused when
// a migration starts, with its key and its arguments, and the reverse.
func (f *File) Prepare(ctx context.Context, conn *pgx.Conn) (err error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return fmt.Errorf("prepare %s: %w", f.Name, err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // nothing was written
	var exists bool
	if err := tx.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", f.Table).Scan(&exists); err != nil {
		return fmt.Errorf("look up table %s: %w", f.Table, err)
	}
	if !exists {
		return fmt.Errorf("%w: %s", ErrNoTable, f.Table)
	}
	key, err := primaryKey(ctx, tx, f.Table)
	if err != nil || len(key) == 0 {
		return err
	}
	return f.prepare(ctx, tx, key)
}

func primaryKey(ctx context.Context, tx pgx.Tx, table string) (registry.Key, error) {
	rows, err := tx.Query(ctx, keySQL, table)
	if err != nil {
		return nil, fmt.Errorf("look up the key of %s: %w", table, err)
	}
	key, err := pgx.CollectRows(rows, pgx.RowToStructByPos[registry.Column])
	if err != nil {
		return nil, fmt.Errorf("look up the key of %s: %w", table, err)
	}
	return key, nil
}

func (f *File) prepare(ctx context.Context, tx pgx.Tx, key registry.Key) error {
	constants := f.samples()
	for _, s := range f.run {
		bound, err := registry.ParseStatement(s.fill(constants))
		if err != nil {
			return fmt.Errorf("statement of line %d: %w", s.line, err)
		}
		if err := plan(ctx, tx, bound, key); err != nil {
			return fmt.Errorf("statement of line %d: %w", s.line, err)
		}
	}
	return f.checkVerification(ctx, tx, key, constants)
}

// samples returns a constant of the right type for each parameter.
func (f *File) samples() map[string]string {
	constants := make(map[string]string, len(f.Parameters))
	for _, p := range f.Parameters {
		t := types[p.Type]
		constants[p.Name] = "(NULL::" + t.sql + ")"
		if p.Default == nil {
			continue
		}
		if constant, err := t.constant(p.Default); err == nil {
			constants[p.Name] = constant
		}
	}
	return constants
}
