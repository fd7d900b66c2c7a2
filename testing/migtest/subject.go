package migtest

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/registry"
)

// subject is the table of a case, and the key that its batches walk along.
type subject struct {
	table string // qualified and quoted
	name  string // unqualified, as stored
	key   registry.Key
}

const keySQL = `
SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod)
FROM pg_catalog.pg_attribute a
LEFT JOIN pg_catalog.pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped
AND CASE WHEN $2::text[] IS NULL THEN a.attnum = ANY (i.indkey) ELSE a.attname::text = ANY ($2) END
ORDER BY CASE WHEN $2 IS NULL THEN array_position(i.indkey::int2[], a.attnum) ELSE array_position($2, a.attname::text) END`

func findSubject(ctx context.Context, conn *pgx.Conn, c *Case) (subject, error) {
	var s subject
	err := conn.QueryRow(ctx, `SELECT format('%I.%I', n.nspname, c.relname), c.relname::text FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::text::regclass`, c.Table).Scan(&s.table, &s.name)
	if err != nil {
		return s, err
	}
	rows, err := conn.Query(ctx, keySQL, s.table, c.Columns)
	if err != nil {
		return s, err
	}
	s.key, err = pgx.CollectRows(rows, pgx.RowToStructByPos[registry.Column])
	switch {
	case err != nil:
		return s, err
	case len(c.Columns) == 0 && len(s.key) == 0:
		return s, fmt.Errorf("table %s has no primary key: name the columns of a unique index in Columns", s.table)
	case len(c.Columns) > 0 && len(s.key) != len(c.Columns):
		return s, fmt.Errorf("table %s does not have all of the columns %s", s.table, strings.Join(c.Columns, ", "))
	default:
		return s, nil
	}
}

// columns returns the key's columns, ready for SQL.
func (s subject) columns() []string {
	quoted := make([]string, len(s.key))
	for i, c := range s.key {
		quoted[i] = pgx.Identifier{c.Name}.Sanitize()
	}
	return quoted
}

// rendered is the SQL expression for a row's key, as text.
func (s subject) rendered() string {
	columns := s.columns()
	if len(columns) == 1 {
		return columns[0] + "::text"
	}
	return "jsonb_build_array(" + strings.Join(columns, "::text, ") + "::text)::text"
}

// keys returns the keys of all rows, in their order.
func (s subject) keys(ctx context.Context, db registry.Querier) ([]string, error) {
	rows, err := db.Query(ctx, "SELECT "+s.rendered()+" AS rendered FROM "+s.table+" ORDER BY "+strings.Join(s.columns(), ", "))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// row returns the range that holds this key alone.
func (s subject) row(key string) registry.Batch {
	return registry.Batch{Table: s.table, Key: s.key, First: true, After: key, Start: key, End: key}
}

// cut returns the batches of size keys that cover keys.
func (r *trial) cut(keys []string, size int) []registry.Batch {
	m := r.migration(r.at)
	var all []registry.Batch
	for i := 0; i < len(keys); i += size {
		all = append(all, registry.Batch{
			Migration: m.Name, Table: m.Table, Key: m.Key, Arguments: m.Arguments,
			First: i == 0, After: keys[max(0, i-1)], Start: keys[i], End: keys[min(i+size, len(keys))-1],
			Size: size, Attempt: 1,
		})
	}
	return all
}

// some returns at most n of the batches, evenly spread, the first and the last
// among them.
func some(all []registry.Batch, n int) []registry.Batch {
	if len(all) <= n {
		return all
	}
	chosen := make([]registry.Batch, n)
	for i := range chosen {
		chosen[i] = all[i*(len(all)-1)/(n-1)]
	}
	return chosen
}

// describe names a batch's range for people.
func describe(b registry.Batch) string {
	if b.First {
		return fmt.Sprintf("[%s, %s]", b.After, b.End)
	}
	return fmt.Sprintf("(%s, %s]", b.After, b.End)
}
