package catalog

// routineSQL is a condition on a routine p in schema s, as memberSQL is on types.
const routineSQL = ` JOIN space s ON s.oid = p.pronamespace
  WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i')) `

const routinesSQL = `
SELECT CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, s.schema, format('%s(%s)', p.proname, oidvectortypes(p.proargtypes)), '', '',
  jsonb_build_object('definition', coalesce(pg_get_functiondef(p.oid), ''))
FROM pg_proc p` + routineSQL + `AND p.prokind <> 'a'`

const aggregatesSQL = `
SELECT 'aggregate', s.schema, format('%s(%s)', p.proname, oidvectortypes(p.proargtypes)), '', '', jsonb_strip_nulls(jsonb_build_object(
  'arguments', pg_get_function_arguments(p.oid), 'result', pg_get_function_result(p.oid),
  'kind', CASE a.aggkind WHEN 'n' THEN 'normal' WHEN 'o' THEN 'ordered set' WHEN 'h' THEN 'hypothetical set' END,
  'transition', concat_ws(' ', a.aggtransfn::oid::regprocedure, format_type(a.aggtranstype, NULL)),
  'final', CASE WHEN a.aggfinalfn::oid <> 0 THEN concat_ws(' ', a.aggfinalfn::oid::regprocedure, CASE WHEN a.aggfinalextra THEN 'extra' END, a.aggfinalmodify) END,
  'combine', nullif(a.aggcombinefn::oid, 0)::regprocedure::text, 'serialize', nullif(a.aggserialfn::oid, 0)::regprocedure::text,
  'deserialize', nullif(a.aggdeserialfn::oid, 0)::regprocedure::text,
  'moving', CASE WHEN a.aggmtransfn::oid <> 0 THEN concat_ws(' ', a.aggmtransfn::oid::regprocedure, a.aggminvtransfn::oid::regprocedure,
    format_type(a.aggmtranstype, NULL), nullif(a.aggmfinalfn::oid, 0)::regprocedure, a.aggminitval) END,
  'sort operator', nullif(a.aggsortop, 0)::regoperator::text, 'initial', a.agginitval,
  'parallel', CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END))
FROM pg_proc p JOIN pg_aggregate a ON a.aggfnoid::oid = p.oid` + routineSQL

const operatorsSQL = `
SELECT 'operator', s.schema, format('%s(%s, %s)', o.oprname, coalesce(format_type(nullif(o.oprleft, 0), NULL), 'NONE'), coalesce(format_type(nullif(o.oprright, 0), NULL), 'NONE')), '', '',
  jsonb_strip_nulls(jsonb_build_object('function', o.oprcode::oid::regprocedure::text, 'result', format_type(o.oprresult, NULL),
    'commutator', nullif(o.oprcom, 0)::regoperator::text, 'negator', nullif(o.oprnegate, 0)::regoperator::text,
    'restrict', nullif(o.oprrest::oid, 0)::regprocedure::text, 'join', nullif(o.oprjoin::oid, 0)::regprocedure::text,
    'options', concat_ws(', ', CASE WHEN o.oprcanhash THEN 'hashes' END, CASE WHEN o.oprcanmerge THEN 'merges' END)))
FROM pg_operator o JOIN space s ON s.oid = o.oprnamespace
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_operator'::regclass AND d.objid = o.oid AND d.deptype = 'e')`

const operatorFamiliesSQL = `
SELECT 'operator family', s.schema, format('%s USING %s', f.opfname, m.amname), '', '', jsonb_strip_nulls(jsonb_build_object(
  'operators', (SELECT string_agg(format('%s %s%s', o.amopstrategy, o.amopopr::regoperator, CASE WHEN o.amopsortfamily <> 0 THEN ' FOR ORDER BY' ELSE '' END), ', '
    ORDER BY o.amopstrategy, o.amopopr::regoperator::text COLLATE "C") FROM pg_amop o WHERE o.amopfamily = f.oid),
  'functions', (SELECT string_agg(format('%s %s', x.amprocnum, x.amproc::oid::regprocedure), ', '
    ORDER BY x.amprocnum, x.amproc::oid::regprocedure::text COLLATE "C") FROM pg_amproc x WHERE x.amprocfamily = f.oid)))
FROM pg_opfamily f JOIN space s ON s.oid = f.opfnamespace JOIN pg_am m ON m.oid = f.opfmethod
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_opfamily'::regclass AND d.objid = f.oid AND d.deptype = 'e')`

const operatorClassesSQL = `
SELECT 'operator class', s.schema, format('%s USING %s', o.opcname, m.amname), '', '', jsonb_strip_nulls(jsonb_build_object(
  'type', format_type(o.opcintype, NULL), 'default', CASE WHEN o.opcdefault THEN 'yes' ELSE 'no' END,
  'storage', CASE WHEN o.opckeytype <> 0 THEN format_type(o.opckeytype, NULL) END,
  'family', (SELECT format('%s.%s', f.opfnamespace::regnamespace, quote_ident(f.opfname)) FROM pg_opfamily f WHERE f.oid = o.opcfamily)))
FROM pg_opclass o JOIN space s ON s.oid = o.opcnamespace JOIN pg_am m ON m.oid = o.opcmethod
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_opclass'::regclass AND d.objid = o.oid AND d.deptype = 'e')`
