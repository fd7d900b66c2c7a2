package catalog

// The name of an ICU collation's locale is in a column of its own, which has
// changed its name with every second version.
const collationsSQL = `
SELECT 'collation', s.schema, c.collname::text, '', '', jsonb_strip_nulls(jsonb_build_object(
  'encoding', CASE WHEN c.collencoding >= 0 THEN pg_encoding_to_char(c.collencoding) END,
  'provider', CASE c.collprovider WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' WHEN 'd' THEN 'default' END,
  'locale', coalesce(j.value ->> 'colllocale', j.value ->> 'colliculocale', c.collcollate), 'ctype', c.collctype,
  'rules', j.value ->> 'collicurules', 'deterministic', CASE WHEN c.collisdeterministic THEN 'yes' ELSE 'no' END))
FROM pg_collation c JOIN space s ON s.oid = c.collnamespace CROSS JOIN LATERAL to_jsonb(c) j (value)
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_collation'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  AND c.collencoding IN (-1, (SELECT encoding FROM pg_database WHERE datname = current_database()))`

const conversionsSQL = `
SELECT 'conversion', s.schema, c.conname::text, '', '', jsonb_build_object(
  'from', pg_encoding_to_char(c.conforencoding), 'to', pg_encoding_to_char(c.contoencoding),
  'function', c.conproc::oid::regprocedure::text, 'default', CASE WHEN c.condefault THEN 'yes' ELSE 'no' END)
FROM pg_conversion c JOIN space s ON s.oid = c.connamespace
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_conversion'::regclass AND d.objid = c.oid AND d.deptype = 'e')`

const textSearchConfigurationsSQL = `
SELECT 'text search configuration', s.schema, c.cfgname::text, '', '', jsonb_strip_nulls(jsonb_build_object(
  'parser', (SELECT format('%s.%s', p.prsnamespace::regnamespace, quote_ident(p.prsname)) FROM pg_ts_parser p WHERE p.oid = c.cfgparser),
  'dictionaries', (SELECT string_agg(format('%s: %s', t.alias, m.mapdict::regdictionary), ', ' ORDER BY m.maptokentype, m.mapseqno)
    FROM pg_ts_config_map m JOIN ts_token_type(c.cfgparser) t ON t.tokid = m.maptokentype WHERE m.mapcfg = c.oid)))
FROM pg_ts_config c JOIN space s ON s.oid = c.cfgnamespace
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_ts_config'::regclass AND d.objid = c.oid AND d.deptype = 'e')`

const textSearchDictionariesSQL = `
SELECT 'text search dictionary', s.schema, c.dictname::text, '', '', jsonb_strip_nulls(jsonb_build_object(
  'template', (SELECT format('%s.%s', p.tmplnamespace::regnamespace, quote_ident(p.tmplname)) FROM pg_ts_template p WHERE p.oid = c.dicttemplate),
  'options', c.dictinitoption))
FROM pg_ts_dict c JOIN space s ON s.oid = c.dictnamespace
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_ts_dict'::regclass AND d.objid = c.oid AND d.deptype = 'e')`

const textSearchParsersSQL = `
SELECT 'text search parser', s.schema, c.prsname::text, '', '', jsonb_build_object('functions', concat_ws(', ', c.prsstart::oid::regprocedure,
  c.prstoken::oid::regprocedure, c.prsend::oid::regprocedure, nullif(c.prsheadline::oid, 0)::regprocedure, c.prslextype::oid::regprocedure))
FROM pg_ts_parser c JOIN space s ON s.oid = c.prsnamespace
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_ts_parser'::regclass AND d.objid = c.oid AND d.deptype = 'e')`

const textSearchTemplatesSQL = `
SELECT 'text search template', s.schema, c.tmplname::text, '', '', jsonb_build_object('functions', concat_ws(', ', nullif(c.tmplinit::oid, 0)::regprocedure, c.tmpllexize::oid::regprocedure))
FROM pg_ts_template c JOIN space s ON s.oid = c.tmplnamespace
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_ts_template'::regclass AND d.objid = c.oid AND d.deptype = 'e')`
