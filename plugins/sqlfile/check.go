package sqlfile

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/registry"
)

// check returns what keeps a migration from starting.
func (f *File) check(ctx context.Context, db registry.Querier, m registry.Migration) error {
	if err := f.checkTable(ctx, db, m.Table); err != nil {
		return err
	}
	for _, s := range f.run {
		bound, err := f.bind(s, m.Arguments)
		if err != nil {
			return err
		}
		for _, column := range m.Key {
			if bound.Assigns(m.Table, column.Name) {
				return fmt.Errorf("statement of line %d: column %q belongs to the key that the batches walk along, and a row whose key changes may be processed twice or never: write to another column", s.line, column.Name)
			}
		}
		if err := plan(ctx, db, bound, m.Key); err != nil {
			return fmt.Errorf("statement of line %d: %w", s.line, err)
		}
	}
	if len(m.Key) == 0 {
		return nil // the strategy "null": its predicate says when it is done
	}
	constants, err := f.constants(m.Arguments)
	if err != nil {
		return err
	}
	return f.checkVerification(ctx, db, m.Key, constants)
}

// checkTable refuses another table than the header's.
func (f *File) checkTable(ctx context.Context, db registry.Querier, table string) error {
	var same, exists bool
	err := db.QueryRow(ctx, "SELECT coalesce(to_regclass($1) = to_regclass($2), false), to_regclass($1) IS NOT NULL", f.Table, table).Scan(&same, &exists)
	switch {
	case err != nil:
		return fmt.Errorf("look up table %s: %w", f.Table, err)
	case !exists:
		return fmt.Errorf("table %s of the file's header does not exist: correct the header, or create the table", f.Table)
	case !same:
		return fmt.Errorf("the file is about the table %s, and the migration about %s: enqueue it for that table", f.Table, table)
	}
	return nil
}

func (f *File) checkVerification(ctx context.Context, db registry.Querier, key registry.Key, constants map[string]string) error {
	if f.verify == nil {
		return nil
	}
	bound, err := f.verification(constants)
	if err != nil {
		return err
	}
	if err := plan(ctx, db, bound, key); err != nil {
		return fmt.Errorf("verification of line %d: %w", f.verify.line, err)
	}
	return nil
}

// plan lets PostgreSQL plan a statement without running it.
func plan(ctx context.Context, db registry.Querier, s registry.Statement, key registry.Key) error {
	text, err := render(s, key, false)
	if err != nil {
		return err
	}
	parameters := 2 * max(1, len(key))
	if len(key) == 0 {
		parameters = 1
	}
	rows, err := db.Query(ctx, "EXPLAIN (COSTS OFF) "+text, make([]any, parameters)...)
	if err == nil {
		rows.Close()
		err = rows.Err()
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Hint != "" {
		return fmt.Errorf("%w: %s", err, refused.Hint)
	}
	return err
}
