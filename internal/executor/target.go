package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/registry"
)

// refusal is an error that no retry mends: the migration fails with its reason.
type refusal struct {
	reason control.Reason
	job    *control.Job // that failed the migration; nil: none did
}

func (r *refusal) Error() string { return r.reason.Message }

func refuse(code int, format string, args ...any) error {
	return &refusal{reason: control.Reason{Code: code, Message: fmt.Sprintf(format, args...)}}
}

const tableSQL = `
SELECT c.oid, format('%I.%I', n.nspname, c.relname), c.relkind::text,
  (SELECT coalesce(sum(greatest(p.reltuples, 0)), 0)::bigint FROM pg_catalog.pg_class p
   WHERE p.oid = c.oid OR p.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree(c.oid) WHERE isleaf)),
  ARRAY(SELECT a.attname::text FROM pg_catalog.pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place)
    JOIN pg_catalog.pg_attribute a ON true
    WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid = c.oid AND a.attnum = k.attnum AND k.place <= i.indnkeyatts ORDER BY k.place)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass($1)`

// inspect looks up a migration's table and the key that its row names, by
// default the primary key, and refuses what batches cannot walk along.
func inspect(ctx context.Context, db control.DB, table string, columns []string) (target, error) {
	var t target
	var kind string
	var primary []string
	err := db.QueryRow(ctx, tableSQL, table).Scan(&t.oid, &t.table, &kind, &t.tuples, &primary)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return t, refuse(control.CodeTable, "table %s does not exist; create it, or correct table_name (with its schema), then retry", table)
	case err != nil:
		return t, fmt.Errorf("look up table %s: %w", table, err)
	case kind != "r" && kind != "p":
		return t, refuse(control.CodeTable, "%s is not a table; name the table whose rows are to change", t.table)
	}
	if len(columns) == 0 {
		columns = primary
	}
	if len(columns) == 0 {
		return t, refuse(control.CodeKey, "table %s has no primary key; name the columns of a unique index on NOT NULL columns in column_name, or add a primary key", t.table)
	}
	if err := t.inspectKey(ctx, db, columns); err != nil {
		return t, err
	}
	return t, t.demandIndex(ctx, db)
}

// parseColumns splits column_name at its commas; quotes around a name are dropped.
func parseColumns(columnName *string) []string {
	if columnName == nil {
		return nil
	}
	parts := strings.Split(*columnName, ",")
	for i, p := range parts {
		parts[i] = strings.Trim(strings.TrimSpace(p), `"`)
	}
	return parts
}

// columnSQL looks a column of a key up. From PostgreSQL 18 on attnotnull says nothing about rows that were there before
// a constraint that is NOT VALID.
const columnSQL = `
SELECT format_type(a.atttypid, a.atttypmod), c.relkind = 'v' OR a.attnotnull AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint n
    WHERE n.conrelid = a.attrelid AND n.contype = 'n' AND n.conkey = ARRAY[a.attnum] AND NOT n.convalidated), t.typname::text,
  coalesce((SELECT col.collname || ' ' || coalesce(pg_catalog.pg_collation_actual_version(col.oid), '')
    FROM pg_catalog.pg_collation col WHERE col.oid = a.attcollation), '')
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = $1 AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped`

// inexact are the types whose text does not come back as the same value.
func inexact(typname string) bool {
	return slices.Contains([]string{"float4", "float8", "money"}, typname)
}

func (t *target) inspectKey(ctx context.Context, db control.DB, columns []string) error {
	var collations []string
	for _, name := range columns {
		var typ, base, collation string
		var notNull bool
		err := db.QueryRow(ctx, columnSQL, t.oid, name).Scan(&typ, &notNull, &base, &collation)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return refuse(control.CodeKey, "table %s has no column %q; correct column_name, or leave it out to walk along the primary key", t.table, name)
		case err != nil:
			return fmt.Errorf("look up column %s of %s: %w", name, t.table, err)
		case !notNull:
			return refuse(control.CodeKey, "key column %q of %s may be NULL, and rows with NULL would be missed; declare it NOT NULL, or use another key", name, t.table)
		case inexact(base):
			return refuse(control.CodeKey, "key column %q of %s has type %s, whose values do not survive being written as text; use another key", name, t.table, typ)
		}
		t.key = append(t.key, registry.Column{Name: name, Type: typ})
		if collation != "" {
			collations = append(collations, collation)
		}
	}
	t.collation = strings.Join(collations, ", ")
	return nil
}

const indexSQL = `
SELECT i.indexrelid FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
JOIN pg_catalog.pg_am am ON am.oid = ic.relam AND am.amname = 'btree'
WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = cardinality($2::text[])
  AND ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.place <= i.indnkeyatts ORDER BY k.place) = $2::text[]
  AND (SELECT count(DISTINCT o & 1) FROM unnest(i.indoption::int2[]) o) = 1
  AND NOT EXISTS (SELECT FROM unnest(i.indclass::oid[]) k(opc) JOIN pg_catalog.pg_opclass oc ON oc.oid = k.opc WHERE NOT oc.opcdefault)
  AND NOT EXISTS (SELECT FROM unnest(i.indkey::int2[], i.indcollation::oid[]) k(attnum, coll)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE a.attcollation <> k.coll)
ORDER BY NOT i.indisprimary, i.indexrelid LIMIT 1`

// demandIndex refuses a key without an index that finds and orders its rows: the end of
// every batch would cost a scan of the table.
func (t *target) demandIndex(ctx context.Context, db control.DB) error {
	names := t.names()
	err := db.QueryRow(ctx, indexSQL, t.oid, names).Scan(&t.index)
	if errors.Is(err, pgx.ErrNoRows) {
		list := strings.Join(names, ", ")
		return refuse(control.CodeKey, "table %s has no usable unique index on (%s): it must be a valid btree on exactly these columns, in one direction and their own collation, not partial; CREATE UNIQUE INDEX CONCURRENTLY ON %s (%s), or name another key in column_name",
			t.table, list, t.table, list)
	}
	if err != nil {
		return fmt.Errorf("look up the indexes of %s: %w", t.table, err)
	}
	return nil
}

// names returns the names of the key's columns.
func (t *target) names() []string {
	names := make([]string, len(t.key))
	for i, c := range t.key {
		names[i] = c.Name
	}
	return names
}

// changed compares the table with what was recorded at the start and says what is different now.
func (t *target) changed(c *control.Candidate) error {
	if c.TableOID == nil {
		return nil
	}
	if *c.TableOID != t.oid {
		return refuse(control.CodeTable, "table %s was replaced while the migration ran (renamed, or dropped and created again); cancel the migration, check what the new table needs, and enqueue another one", t.table)
	}
	if names := t.names(); len(names) != len(c.KeyColumns) {
		return refuse(control.CodeKey, "the key of %s changed while the migration ran: it was (%s) and is (%s); cancel the migration and enqueue another one", t.table, strings.Join(c.KeyColumns, ", "), strings.Join(names, ", "))
	}
	for i, column := range t.key {
		if c.KeyColumns[i] != column.Name || c.KeyTypes[i] != column.Type {
			return refuse(control.CodeKey, "the key of %s changed while the migration ran: %s was %s and is %s; cancel the migration and enqueue another one", t.table, c.KeyColumns[i], c.KeyTypes[i], column.Type)
		}
	}
	if c.KeyCollation != nil && *c.KeyCollation != t.collation {
		return refuse(control.CodeKey, "the collation of %s's key changed while the migration ran: it was %q and is %q, which orders text in another way; rebuild the index, cancel the migration and enqueue another one", t.table, *c.KeyCollation, t.collation)
	}
	return nil
}
