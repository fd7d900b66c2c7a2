package catalog

// definitionsSQL begins the queries of [Take]: the schemas, and the relations
// in them that are not an extension's nor a migration tool's. Those queries run
// with a search path of pg_catalog alone, so that PostgreSQL writes the names of
// all that is not its own with their schemas.
//
// Every query returns the object's kind, schema and name, a part's kind and
// name (empty: the object itself), and the properties as an object of text
// values. Columns of the catalogs that version 13 does not have are taken from the
// row as JSON, where they are absent instead of an error.
const definitionsSQL = spaceSQL + `, relation AS (
  SELECT c.*, s.schema, c.relname::text AS name,
    CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' ELSE 'table' END AS kind
  FROM pg_class c JOIN space s ON s.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    AND NOT EXISTS (SELECT FROM unnest($2::text[], $3::text[]) v (schema, name) WHERE v.schema = s.schema AND v.name = c.relname)
)
`

// definitionQueries are the queries of [Take].
func definitionQueries() []string {
	return []string{
		schemasSQL, extensionsSQL, castsSQL,
		relationsSQL, viewsSQL, sequencesSQL,
		columnsSQL, constraintsSQL, indexesSQL, triggersSQL, rulesSQL, policiesSQL, statisticsSQL,
		routinesSQL, aggregatesSQL,
		enumsSQL, domainsSQL, domainConstraintsSQL, compositesSQL, rangesSQL, baseTypesSQL,
		operatorsSQL, operatorFamiliesSQL, operatorClassesSQL, collationsSQL, conversionsSQL,
		textSearchConfigurationsSQL, textSearchDictionariesSQL, textSearchParsersSQL, textSearchTemplatesSQL,
	}
}

// An extension's version does not count: operators upgrade extensions.
const schemasSQL = `SELECT 'schema', '', schema, '', '', '{}'::jsonb FROM space WHERE schema <> 'public'`

const extensionsSQL = `SELECT 'extension', '', e.extname::text, '', '', jsonb_build_object('schema', e.extnamespace::regnamespace::text) FROM pg_extension e`

const castsSQL = `
SELECT 'cast', '', format('(%s AS %s)', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)), '', '', jsonb_strip_nulls(jsonb_build_object(
  'context', CASE c.castcontext WHEN 'e' THEN 'explicit' WHEN 'a' THEN 'assignment' WHEN 'i' THEN 'implicit' END,
  'method', CASE c.castmethod WHEN 'f' THEN c.castfunc::regprocedure::text WHEN 'i' THEN 'input and output' WHEN 'b' THEN 'binary' END))
FROM pg_cast c
WHERE c.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_cast'::regclass AND d.objid = c.oid AND d.deptype IN ('e', 'i'))`
