package catalog

// memberSQL is a condition on a type t: it is a user's, in schema s, and not
// made along with something else.
const memberSQL = ` JOIN space s ON s.oid = t.typnamespace
  WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype IN ('e', 'i')) `

const enumsSQL = `
SELECT 'enum', s.schema, t.typname::text, '', '', jsonb_build_object('values',
  (SELECT coalesce(string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder), '') FROM pg_enum e WHERE e.enumtypid = t.oid))
FROM pg_type t` + memberSQL + `AND t.typtype = 'e'`

const domainsSQL = `
SELECT 'domain', s.schema, t.typname::text, '', '', jsonb_strip_nulls(jsonb_build_object(
  'type', format_type(t.typbasetype, t.typtypmod), 'null', CASE WHEN t.typnotnull THEN 'NOT NULL' ELSE 'NULL' END,
  'default', coalesce(pg_get_expr(t.typdefaultbin, 0), t.typdefault),
  'collation', CASE WHEN t.typcollation <> b.typcollation THEN t.typcollation::regcollation::text END))
FROM pg_type t JOIN pg_type b ON b.oid = t.typbasetype` + memberSQL + `AND t.typtype = 'd'`

const domainConstraintsSQL = `
SELECT 'domain', s.schema, t.typname::text, 'constraint', c.conname::text, jsonb_build_object('definition', pg_get_constraintdef(c.oid))
FROM pg_type t JOIN pg_constraint c ON c.contypid = t.oid AND c.contype = 'c'` + memberSQL + `AND t.typtype = 'd'`

// The order of a composite type's attributes counts: values are written in it.
const compositesSQL = `
SELECT 'composite type', s.schema, t.typname::text, '', '', jsonb_build_object('attributes',
  (SELECT coalesce(string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
      || CASE WHEN a.attcollation <> b.typcollation THEN ' COLLATE ' || a.attcollation::regcollation ELSE '' END, ', ' ORDER BY a.attnum), '')
    FROM pg_attribute a JOIN pg_type b ON b.oid = a.atttypid WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
FROM pg_type t` + memberSQL + `AND t.typtype = 'c'`

const rangesSQL = `
SELECT 'range', s.schema, t.typname::text, '', '', jsonb_strip_nulls(jsonb_build_object(
  'subtype', format_type(r.rngsubtype, NULL), 'multirange', (to_jsonb(r) ->> 'rngmultitypid')::oid::regtype::text,
  'collation', CASE WHEN r.rngcollation <> 0 THEN r.rngcollation::regcollation::text END,
  'operator class', (SELECT format('%s.%s', o.opcnamespace::regnamespace, quote_ident(o.opcname)) FROM pg_opclass o WHERE o.oid = r.rngsubopc),
  'canonical', CASE WHEN r.rngcanonical::oid <> 0 THEN r.rngcanonical::oid::regprocedure::text END,
  'difference', CASE WHEN r.rngsubdiff::oid <> 0 THEN r.rngsubdiff::oid::regprocedure::text END))
FROM pg_type t JOIN pg_range r ON r.rngtypid = t.oid` + memberSQL + `AND t.typtype = 'r'`

// Base types are made of functions in C; a type that was announced and never
// defined is one without functions.
const baseTypesSQL = `
SELECT 'base type', s.schema, t.typname::text, '', '', jsonb_strip_nulls(jsonb_build_object(
  'functions', concat_ws(', ', nullif(t.typinput::oid, 0)::regprocedure, nullif(t.typoutput::oid, 0)::regprocedure, nullif(t.typreceive::oid, 0)::regprocedure,
    nullif(t.typsend::oid, 0)::regprocedure, nullif(t.typmodin::oid, 0)::regprocedure, nullif(t.typmodout::oid, 0)::regprocedure, nullif(t.typanalyze::oid, 0)::regprocedure),
  'layout', format('length %s, by value %s, alignment %s, storage %s', t.typlen, t.typbyval, t.typalign, t.typstorage),
  'category', t.typcategory::text || CASE WHEN t.typispreferred THEN ' preferred' ELSE '' END,
  'element', CASE WHEN t.typelem <> 0 THEN format_type(t.typelem, NULL) END, 'default', t.typdefault,
  'collation', CASE WHEN t.typcollation <> 0 THEN t.typcollation::regcollation::text END))
FROM pg_type t` + memberSQL + `AND t.typtype IN ('b', 'p')`
