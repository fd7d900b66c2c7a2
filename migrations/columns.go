package migrations

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/registry"
)

// column is what the catalog says of a table's column.
type column struct {
	Name      string
	Generated bool // GENERATED ALWAYS AS (…) STORED
}

// table is what the catalog says of a migration's table.
type table struct {
	name    string // quoted
	key     registry.Key
	columns []column
}

// readTable reads a migration's table from the catalog.
func readTable(ctx context.Context, db registry.Querier, m registry.Migration) (table, error) {
	rows, err := db.Query(ctx, `
		SELECT attname::text, attgenerated <> ''
		FROM pg_catalog.pg_attribute
		WHERE attrelid = pg_catalog.to_regclass($1) AND attnum > 0 AND NOT attisdropped
		ORDER BY attnum`, m.Table)
	if err != nil {
		return table{}, fmt.Errorf("read columns of %s: %w", m.Table, err)
	}
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	if err != nil {
		return table{}, fmt.Errorf("read columns of %s: %w", m.Table, err)
	}
	if len(columns) == 0 {
		return table{}, fmt.Errorf("table %s does not exist or has no columns", m.Table)
	}
	return table{name: m.Table, key: m.Key, columns: columns}, nil
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
