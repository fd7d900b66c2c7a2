package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// table is what matters of a table with a migration that is not over.
type table struct {
	Name        string
	Reads       bool     // the role may
	Writes      bool     // the role may, somehow
	Hidden      bool     // row security could keep rows from the role
	Unpublished []string // publications that send changes of the table or a partition, which has nothing to identify rows by
	Full        []string // those that send whole old rows
	Triggers    []string // that fire for each row
}

// tablesSQL looks at the tables and their partitions. A published table needs a
// replica identity: its primary key, an index or the whole row.
const tablesSQL = `
WITH open AS (
  SELECT DISTINCT coalesce(m.table_oid, bbm.table_named(m.table_name)) AS oid FROM bbm.batched_background_migrations m WHERE m.status IN ('active', 'running', 'paused')
), part AS (
  SELECT o.oid AS root, o.oid FROM open o UNION SELECT o.oid, p.relid FROM open o, pg_catalog.pg_partition_tree(o.oid::regclass) p
), published AS (
  SELECT part.root, c.oid::regclass::text AS name, c.relreplident AS identity, p.pubname::text AS publication,
    CASE c.relreplident WHEN 'n' THEN false WHEN 'f' THEN true
      WHEN 'd' THEN EXISTS (SELECT FROM pg_catalog.pg_index WHERE indrelid = c.oid AND indisprimary AND indimmediate)
      ELSE EXISTS (SELECT FROM pg_catalog.pg_index WHERE indrelid = c.oid AND indisreplident) END AS identified
  FROM part JOIN pg_catalog.pg_class c ON c.oid = part.oid AND c.relkind = 'r'
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_publication_tables t ON t.schemaname = n.nspname AND t.tablename = c.relname
  JOIN pg_catalog.pg_publication p ON p.pubname = t.pubname AND (p.pubupdate OR p.pubdelete)
)
SELECT c.oid::regclass::text, has_any_column_privilege(c.oid, 'SELECT'),
  has_any_column_privilege(c.oid, 'INSERT') OR has_any_column_privilege(c.oid, 'UPDATE') OR has_table_privilege(c.oid, 'DELETE'),
  row_security_active(c.oid),
  ARRAY(SELECT DISTINCT publication FROM published WHERE root = c.oid AND NOT identified ORDER BY 1),
  ARRAY(SELECT DISTINCT publication FROM published WHERE root = c.oid AND identity = 'f' ORDER BY 1),
  ARRAY(SELECT DISTINCT t.tgname::text FROM pg_catalog.pg_trigger t JOIN part ON part.oid = t.tgrelid
    WHERE part.root = c.oid AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgtype & 1 = 1 ORDER BY 1)
FROM open JOIN pg_catalog.pg_class c ON c.oid = open.oid JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
WHERE has_schema_privilege(s.oid, 'USAGE') ORDER BY 1`

// checkTables looks at the tables of the migrations that are not over.
func checkTables(ctx context.Context, p *patient) (string, error) {
	if !p.installed(ctx) {
		return p.without(ctx), nil
	}
	rows, err := p.conn.Query(ctx, strings.ReplaceAll(tablesSQL, "bbm.", control.NewStore(p.config.ControlSchema).Schema()+"."))
	if err != nil {
		return "", err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[table])
	if err != nil {
		return "", err
	}
	var found problems
	for i := range all {
		found = append(found, all[i].problems()...)
	}
	return "of open migrations: " + terminal.Count(int64(len(all))), found.orNil()
}

func (t *table) problems() (found problems) {
	add := func(p error) { found = append(found, p) }
	if !t.Reads {
		add(fail("this role may not read "+t.Name, "batches look up where they end in it", "GRANT SELECT, UPDATE, DELETE on it, as the Work needs"))
	} else if !t.Writes {
		add(warn("this role may not write to "+t.Name, "most Works change rows of the migration's table", "GRANT UPDATE, or what the Work needs, on it"))
	}
	if t.Hidden {
		add(fail("row security of "+t.Name+" holds for this role", "rows that it hides would be missed, so batches refuse to run", "let the table's owner run bbmd, or a role with BYPASSRLS"))
	}
	if len(t.Unpublished) > 0 {
		add(fail(fmt.Sprintf("%s is published (%s) without a replica identity", t.Name, strings.Join(t.Unpublished, ", ")),
			"PostgreSQL refuses every UPDATE and DELETE there", "ALTER TABLE … REPLICA IDENTITY USING INDEX …, or FULL"))
	}
	if len(t.Full) > 0 {
		add(warn(fmt.Sprintf("%s is published (%s) with REPLICA IDENTITY FULL", t.Name, strings.Join(t.Full, ", ")),
			"the whole old row of every change goes into the WAL and to the subscribers, who look for it by all columns", "ALTER TABLE … REPLICA IDENTITY USING INDEX … of a unique index"))
	}
	if len(t.Triggers) > 0 {
		add(warn(fmt.Sprintf("triggers of %s fire for each row: %s", t.Name, strings.Join(t.Triggers, ", ")),
			"what they do, they do for every row that a batch changes", "see that they may: what they write, whom they notify; bbmd dry-run measures them"))
	}
	return found
}
