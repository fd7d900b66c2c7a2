package history

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Find returns a record for every version table in the database, ordered by
// schema and table, except in the schemas that are named. Tables of
// extensions, temporary ones and those of the system are none. It needs
// SELECT on the tables that it finds, and says so where it has it not.
//
// A tool's default table is recognised by its name and its columns, of which
// it may have more where nobody else uses the name. The two tools whose
// histories can be run, Alembic and goose, are also recognised under another
// name, by columns that nobody else has.
func Find(ctx context.Context, db DB, except ...string) ([]Record, error) {
	var names []string
	for _, s := range signatures() {
		names = append(append(names, s.table), s.companions...)
	}
	tables, err := candidates(ctx, db, names, except)
	if err != nil {
		return nil, fmt.Errorf("look for version tables: %w", err)
	}
	var records []Record
	for _, t := range tables {
		for _, s := range signatures() {
			if !s.matches(t) {
				continue
			}
			record, err := s.record(ctx, db, t)
			if err != nil {
				return nil, fmt.Errorf("read %s's version table %s: %w", s.tool.Title(), t, err)
			}
			records = append(records, record)
			break
		}
	}
	return records, nil
}

// found is a table that may be a version table, or a companion of one.
type found struct {
	Schema, Name string
	Readable     bool // by this role
	Filtered     bool // a row-level security policy may hide rows
	PrimaryKey   string
	Columns      [][]string // each a name and a type

	siblings map[string]*found // candidates in the same schema
}

func (t *found) place() Place   { return Place{Schema: t.Schema, Table: t.Name} }
func (t *found) String() string { return t.place().String() }
func (t *found) sql() string    { return t.place().sql() }

// column returns the kind of a column, none if there is no such column.
func (t *found) column(name string) kind {
	for _, c := range t.Columns {
		if c[0] == name {
			return kindOf(c[1])
		}
	}
	return none
}

func (t *found) columnNames() string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c[0]
	}
	return strings.Join(names, ", ")
}

// sibling returns another table of the schema that has these columns, or nil.
func (t *found) sibling(name string, columns ...string) *found {
	s := t.siblings[name]
	if s == nil || slices.ContainsFunc(columns, func(c string) bool { return s.column(c) == none }) {
		return nil
	}
	return s
}

// visible says why the table's rows cannot be trusted to be all.
func (t *found) visible() error {
	switch {
	case !t.Readable:
		return fmt.Errorf("this role may not read it: GRANT USAGE ON SCHEMA %s and SELECT ON %s to it", display(t.Schema), t)
	case t.Filtered:
		return fmt.Errorf("row-level security hides rows from this role: use one that owns %s or has BYPASSRLS", t)
	}
	return nil
}

// candidatesSQL finds tables by name, or by a column that the tables of
// Alembic and goose have under any name. It is asked in a new session at every start, so
// most of its cost is the planning, which is the less the fewer tables each part joins.
const candidatesSQL = `
WITH c AS MATERIALIZED (
  SELECT c.oid, c.relname, n.oid AS namespace, n.nspname
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND n.nspname <> 'information_schema' AND NOT starts_with(n.nspname::text, 'pg_') -- those of temporary tables included
    AND n.nspname::text <> ALL ($2::text[])
    AND (c.relname::text = ANY ($1::text[])
         OR EXISTS (SELECT FROM pg_catalog.pg_attribute v
                    WHERE v.attrelid = c.oid AND v.attname IN ('version_num', 'version_id')))
)
SELECT nspname::text AS schema, relname::text AS name,
       has_schema_privilege(namespace, 'USAGE') AND has_table_privilege(oid, 'SELECT') AS readable,
       row_security_active(oid) AS filtered,
       coalesce((SELECT k.conname::text FROM pg_catalog.pg_constraint k
                 WHERE k.conrelid = c.oid AND k.contype = 'p'), '') AS primary_key,
       ARRAY(SELECT ARRAY[a.attname::text, coalesce(b.typname, t.typname)::text] FROM pg_catalog.pg_attribute a
             JOIN pg_catalog.pg_type t ON t.oid = a.atttypid LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS columns
FROM c
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`

func candidates(ctx context.Context, db DB, names, except []string) ([]*found, error) {
	rows, err := db.Query(ctx, candidatesSQL, pgx.QueryExecModeExec, names, append([]string{}, except...))
	if err != nil {
		return nil, err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByNameLax[found])
	if err != nil {
		return nil, err
	}
	slices.SortFunc(tables, func(a, b *found) int {
		return cmp.Or(cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Name, b.Name))
	})
	siblings := map[string]map[string]*found{}
	for _, t := range tables {
		if siblings[t.Schema] == nil {
			siblings[t.Schema] = map[string]*found{}
		}
		siblings[t.Schema][t.Name], t.siblings = t, siblings[t.Schema]
	}
	return tables, nil
}
