package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// spaceSQL begins a query: its first table has the schemas of users. $1 are
// those left out. It can be followed by more tables.
const spaceSQL = `
WITH space AS (
  SELECT n.oid, n.nspname::text AS schema, n.nspowner AS owner FROM pg_catalog.pg_namespace n
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname <> ALL ($1::text[])
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_catalog.pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
)`

// itemsSQL has everything that stands by itself in a schema. What depends
// internally on something else (row types, the types of arrays, sequences of
// identity columns) is made and dropped with that.
const itemsSQL = spaceSQL + `, thing (class, oid, namespace, name, owner) AS (
  SELECT 'pg_catalog.pg_class'::regclass, c.oid, c.relnamespace, c.relname, c.relowner FROM pg_catalog.pg_class c
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') OR c.relkind = 'S' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
      AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype = 'a')
  UNION ALL SELECT 'pg_catalog.pg_type'::regclass, oid, typnamespace, typname, typowner FROM pg_catalog.pg_type
  UNION ALL SELECT 'pg_catalog.pg_proc'::regclass, oid, pronamespace, proname, proowner FROM pg_catalog.pg_proc
  UNION ALL SELECT 'pg_catalog.pg_operator'::regclass, oid, oprnamespace, oprname, oprowner FROM pg_catalog.pg_operator
  UNION ALL SELECT 'pg_catalog.pg_opclass'::regclass, oid, opcnamespace, opcname, opcowner FROM pg_catalog.pg_opclass
  UNION ALL SELECT 'pg_catalog.pg_opfamily'::regclass, oid, opfnamespace, opfname, opfowner FROM pg_catalog.pg_opfamily
  UNION ALL SELECT 'pg_catalog.pg_collation'::regclass, oid, collnamespace, collname, collowner FROM pg_catalog.pg_collation
  UNION ALL SELECT 'pg_catalog.pg_conversion'::regclass, oid, connamespace, conname, conowner FROM pg_catalog.pg_conversion
  UNION ALL SELECT 'pg_catalog.pg_statistic_ext'::regclass, oid, stxnamespace, stxname, stxowner FROM pg_catalog.pg_statistic_ext
  UNION ALL SELECT 'pg_catalog.pg_ts_config'::regclass, oid, cfgnamespace, cfgname, cfgowner FROM pg_catalog.pg_ts_config
  UNION ALL SELECT 'pg_catalog.pg_ts_dict'::regclass, oid, dictnamespace, dictname, dictowner FROM pg_catalog.pg_ts_dict
  UNION ALL SELECT 'pg_catalog.pg_ts_parser'::regclass, oid, prsnamespace, prsname, 10 FROM pg_catalog.pg_ts_parser
  UNION ALL SELECT 'pg_catalog.pg_ts_template'::regclass, oid, tmplnamespace, tmplname, 10 FROM pg_catalog.pg_ts_template
), item AS (
  SELECT i.type AS kind, s.schema, t.name::text, i.identity, pg_catalog.pg_get_userbyid(t.owner)::text AS owner,
    EXISTS (SELECT FROM unnest($2::text[], $3::text[]) v (schema, name)
      WHERE v.schema = s.schema AND v.name = t.name::text AND t.class = 'pg_catalog.pg_class'::regclass) AS version,
    pg_catalog.pg_has_role(t.owner, 'USAGE') OR pg_catalog.pg_has_role(s.owner, 'USAGE') AS may
  FROM thing t JOIN space s ON s.oid = t.namespace
    CROSS JOIN LATERAL pg_catalog.pg_identify_object(t.class, t.oid, 0) i
  WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = t.class AND d.objid = t.oid AND d.objsubid = 0 AND d.deptype IN ('e', 'i'))
  UNION ALL
  SELECT 'large objects', '', '', format('(%s)', count(*)), pg_catalog.pg_get_userbyid(lomowner)::text, false, pg_catalog.pg_has_role(lomowner, 'USAGE')
  FROM pg_catalog.pg_largeobject_metadata GROUP BY lomowner
)
SELECT kind, schema, name, identity, owner, version, may FROM item ORDER BY schema COLLATE "C", kind COLLATE "C", identity COLLATE "C"`

// largeObjects is the kind of the entry for all large objects of an owner.
const largeObjects = "large objects"

// item is an object and whether the current role may drop it.
type item struct {
	Object
	may bool
}

// UserObjects returns what users have made in the schemas of a database, in
// order of schema, kind and identity: relations, types, routines, operators and
// the like, and one entry per owner for large objects. A database is empty when
// there is none but version tables. Schemas themselves do not count, nor does
// what is not in a schema (publications, event triggers, foreign servers):
// operators prepare those before the first migration. Parts (columns, indexes,
// constraints, sequences that a column owns) count as what they belong to.
func UserObjects(ctx context.Context, db DB, options Options) ([]Object, error) {
	items, err := readItems(ctx, db, options)
	if err != nil {
		return nil, err
	}
	var objects []Object
	for _, i := range items {
		objects = append(objects, i.Object)
	}
	return objects, nil
}

func readItems(ctx context.Context, db DB, options Options) ([]item, error) {
	rows, err := db.Query(ctx, itemsSQL, options.arguments()...)
	if err != nil {
		return nil, fmt.Errorf("list the objects of the database: %w", err)
	}
	items, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (item, error) {
		var i item
		err := row.Scan(&i.Kind, &i.Schema, &i.Name, &i.Identity, &i.Owner, &i.Version, &i.may)
		return i, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the objects of the database: %w", err)
	}
	return items, nil
}

// arguments returns $1 to $3 of the queries: schemas to leave out, and the
// schemas and names of version tables.
func (o Options) arguments() []any {
	schemas, tables := []string{}, []string{}
	for _, v := range o.VersionTables {
		schemas, tables = append(schemas, v.Schema), append(tables, v.Table)
	}
	return []any{append([]string{}, o.Exclude...), schemas, tables}
}
