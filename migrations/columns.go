package migrations

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/registry"
)

// column is what the catalog says of a table's column.
type column struct {
	Name      string
	SQL       string // the name as one writes it in SQL
	Type      string // as in a cast
	Generated bool   // GENERATED ALWAYS AS (…) STORED
	NotNull   bool
	Filled    bool // has a value where an INSERT gives none
}

// table is what the catalog says of a table.
type table struct {
	name    string       // quoted
	key     registry.Key // nil for any table but the migration's
	columns []column
}

// readTable reads a migration's table from the catalog.
func readTable(ctx context.Context, db registry.Querier, m registry.Migration) (table, error) {
	t, err := readOther(ctx, db, m.Table)
	t.key = m.Key
	return t, err
}

// readOther reads any table, by its quoted name.
func readOther(ctx context.Context, db registry.Querier, name string) (table, error) {
	rows, err := db.Query(ctx, `
		SELECT attname::text, quote_ident(attname), pg_catalog.format_type(atttypid, atttypmod), attgenerated <> '', attnotnull,
			atthasdef OR attidentity <> ''
		FROM pg_catalog.pg_attribute
		WHERE attrelid = pg_catalog.to_regclass($1) AND attnum > 0 AND NOT attisdropped
		ORDER BY attnum`, name)
	if err != nil {
		return table{}, fmt.Errorf("read columns of %s: %w", name, err)
	}
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	if err != nil {
		return table{}, fmt.Errorf("read columns of %s: %w", name, err)
	}
	if len(columns) == 0 {
		return table{}, noTable(ctx, db, name)
	}
	return table{name: name, columns: columns}, nil
}

// column returns the column of that name, as it is stored: without quotes.
func (t table) column(name string) (column, error) {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		if c.Name == name {
			return c, nil
		}
		names[i] = c.Name
	}
	return column{}, fmt.Errorf("table %s has no column %q%s", t.name, name, registry.Suggestion(name, names))
}

// requireColumn refuses a column that the table does not have.
func (t table) requireColumn(name string) error {
	_, err := t.column(name)
	return err
}

// requireWritable refuses a column that a Work may not write.
func (t table) requireWritable(name string) error {
	c, err := t.column(name)
	if err != nil {
		return err
	}
	for _, k := range t.key {
		if k.Name == name {
			return keyError(name)
		}
	}
	if c.Generated {
		return fmt.Errorf("column %q is generated: PostgreSQL computes it itself", name)
	}
	return nil
}

// requireIndex refuses a column whose values no index finds: every row of the
// migration would cost a scan of this table.
func (t table) requireIndex(ctx context.Context, db registry.Querier, name string) error {
	if err := t.requireColumn(name); err != nil {
		return err
	}
	var found bool
	err := db.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM pg_catalog.pg_index i
			JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
			JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname IN ('btree', 'hash')
			JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
			WHERE i.indrelid = pg_catalog.to_regclass($1) AND i.indisvalid AND i.indpred IS NULL AND a.attname = $2)`, t.name, name).Scan(&found)
	switch {
	case err != nil:
		return fmt.Errorf("read indexes of %s: %w", t.name, err)
	case !found:
		return fmt.Errorf("table %s has no index that begins with %q, so that every row would cost a scan of it: CREATE INDEX CONCURRENTLY ON %s (%s)",
			t.name, name, t.name, quote(name))
	default:
		return nil
	}
}

// requireCondition refuses a condition that names more than the table's columns,
// which another table in the same statement would hide.
func (t table) requireCondition(ctx context.Context, db registry.Querier, name, condition string) error {
	if err := explain(ctx, db, "SELECT FROM "+t.name+" WHERE "+parenthesized(condition)); err != nil {
		return fmt.Errorf("argument %q is about %s: %w", name, t.name, err)
	}
	return nil
}

// same reports whether two names mean one table.
func (t table) same(ctx context.Context, db registry.Querier, other table) (bool, error) {
	var same bool
	if err := db.QueryRow(ctx, "SELECT pg_catalog.to_regclass($1) = pg_catalog.to_regclass($2)", t.name, other.name).Scan(&same); err != nil {
		return false, fmt.Errorf("compare %s with %s: %w", t.name, other.name, err)
	}
	return same, nil
}

// unique reports whether no two rows of the table agree in these columns. From PostgreSQL 18 on attnotnull says nothing
// about rows that were there before a constraint that is NOT VALID.
func (t table) unique(ctx context.Context, db registry.Querier, names []string) (bool, error) {
	var found bool
	err := db.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM pg_catalog.pg_index i
			WHERE i.indrelid = pg_catalog.to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
			AND NOT EXISTS (SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place)
				JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
				WHERE k.place <= i.indnkeyatts AND (NOT (a.attnotnull AND a.attname::text = ANY ($2))
				OR EXISTS (SELECT FROM pg_catalog.pg_constraint n
					WHERE n.conrelid = a.attrelid AND n.contype = 'n' AND n.conkey = ARRAY[a.attnum] AND NOT n.convalidated))))`, t.name, names).Scan(&found)
	if err != nil {
		return false, fmt.Errorf("read indexes of %s: %w", t.name, err)
	}
	return found, nil
}

// quote returns a column's name, ready for SQL.
func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// quoteAll quotes names and joins them with commas, each behind prefix.
func quoteAll(prefix string, names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = prefix + quote(name)
	}
	return strings.Join(quoted, ", ")
}
