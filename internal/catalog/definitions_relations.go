package catalog

const relationsSQL = `
SELECT r.kind, r.schema, r.name, '', '', jsonb_strip_nulls(jsonb_build_object(
  'persistence', CASE r.relpersistence WHEN 'u' THEN 'unlogged' ELSE 'logged' END,
  'partitioning', CASE r.relkind WHEN 'p' THEN pg_get_partkeydef(r.oid) END,
  'parent', CASE WHEN r.relispartition THEN (SELECT i.inhparent::regclass::text FROM pg_inherits i WHERE i.inhrelid = r.oid) END,
  'partition bound', pg_get_expr(r.relpartbound, r.oid),
  'parents', CASE WHEN NOT r.relispartition THEN
    (SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = r.oid) END,
  'type', CASE WHEN r.reloftype <> 0 THEN r.reloftype::regtype::text END,
  'row security', CASE WHEN r.relrowsecurity THEN 'enabled' ELSE 'disabled' END || CASE WHEN r.relforcerowsecurity THEN ', forced' ELSE '' END,
  'replica identity', CASE r.relreplident WHEN 'd' THEN 'default' WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' WHEN 'i' THEN
    (SELECT 'index ' || quote_ident(ic.relname) FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid WHERE i.indrelid = r.oid AND i.indisreplident) END,
  'server', (SELECT quote_ident(s.srvname) FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = r.oid),
  'options', (SELECT array_to_string(ARRAY(SELECT unnest(f.ftoptions) ORDER BY 1), ', ') FROM pg_foreign_table f WHERE f.ftrelid = r.oid AND f.ftoptions IS NOT NULL)))
FROM relation r WHERE r.relkind IN ('r', 'p', 'f')`

// A view's options change what it means: who is asked for permission, and
// what may be written through it. A materialized view's are about its storage.
const viewsSQL = `
SELECT r.kind, r.schema, r.name, '', '', jsonb_strip_nulls(jsonb_build_object(
  'definition', coalesce(ltrim(pg_get_viewdef(r.oid)), ''),
  'options', CASE WHEN r.relkind = 'v' AND r.reloptions IS NOT NULL THEN array_to_string(ARRAY(SELECT unnest(r.reloptions) ORDER BY 1), ', ') END))
FROM relation r WHERE r.relkind IN ('v', 'm')`

// sequenceSQL describes a sequence q.
const sequenceSQL = `format('START %s INCREMENT %s MINVALUE %s MAXVALUE %s CACHE %s %s', q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache,
    CASE WHEN q.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END)`

// Those of identity columns are properties of their columns; those of version
// tables go with their tables.
const sequencesSQL = `
SELECT r.kind, r.schema, r.name, '', '', jsonb_strip_nulls(jsonb_build_object(
  'type', format_type(q.seqtypid, NULL), 'options', ` + sequenceSQL + `,
  'persistence', CASE r.relpersistence WHEN 'u' THEN 'unlogged' ELSE 'logged' END,
  'owning column', CASE WHEN d.objid IS NOT NULL THEN format('%s.%I', d.refobjid::regclass, a.attname) END))
FROM relation r JOIN pg_sequence q ON q.seqrelid = r.oid
  LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
  LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.deptype IS NULL OR d.deptype = 'a' AND EXISTS (SELECT FROM relation t WHERE t.oid = d.refobjid)`

// Of a view's columns only defaults are its own. A partition's columns are its
// parent's but where they differ.
const columnsSQL = `
SELECT r.kind, r.schema, r.name, 'column', a.attname::text, jsonb_strip_nulls(jsonb_build_object(
  'type', CASE WHEN r.relkind <> 'v' THEN format_type(a.atttypid, a.atttypmod) END,
  'null', CASE WHEN r.relkind = 'v' THEN NULL WHEN NOT a.attnotnull THEN 'NULL'
    WHEN EXISTS (SELECT FROM pg_constraint n WHERE n.conrelid = a.attrelid AND n.contype = 'n' AND n.conkey = ARRAY[a.attnum] AND NOT n.convalidated)
    THEN 'NOT NULL NOT VALID' ELSE 'NOT NULL' END,
  'collation', CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
  'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
  'generated', CASE a.attgenerated WHEN 's' THEN pg_get_expr(d.adbin, d.adrelid) || ' STORED' WHEN 'v' THEN pg_get_expr(d.adbin, d.adrelid) || ' VIRTUAL' END,
  'identity', CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END,
  'identity sequence', (SELECT ` + sequenceSQL + ` FROM pg_depend i JOIN pg_sequence q ON q.seqrelid = i.objid
    WHERE i.classid = 'pg_class'::regclass AND i.refclassid = 'pg_class'::regclass AND i.refobjid = a.attrelid AND i.refobjsubid = a.attnum AND i.deptype = 'i' LIMIT 1),
  'options', CASE WHEN a.attfdwoptions IS NOT NULL THEN array_to_string(ARRAY(SELECT unnest(a.attfdwoptions) ORDER BY 1), ', ') END))
FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  LEFT JOIN pg_inherits h ON r.relispartition AND h.inhrelid = r.oid
  LEFT JOIN pg_attribute p ON p.attrelid = h.inhparent AND p.attname = a.attname AND NOT p.attisdropped
  LEFT JOIN pg_attrdef pd ON pd.adrelid = p.attrelid AND pd.adnum = p.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND (r.relkind IN ('r', 'p', 'f') OR r.relkind = 'v' AND a.atthasdef)
  AND (p.attrelid IS NULL OR p.attnotnull <> a.attnotnull OR pg_get_expr(pd.adbin, pd.adrelid) IS DISTINCT FROM pg_get_expr(d.adbin, d.adrelid))`

// What a partition or a child has from its parent is the parent's.
const constraintsSQL = `
SELECT r.kind, r.schema, r.name, 'constraint', c.conname::text, jsonb_build_object('definition', pg_get_constraintdef(c.oid))
FROM relation r JOIN pg_constraint c ON c.conrelid = r.oid
WHERE c.contype IN ('c', 'f', 'p', 'u', 'x') AND c.conparentid = 0 AND (c.conislocal OR c.coninhcount = 0)`

// An index that a constraint has is the constraint's.
const indexesSQL = `
SELECT r.kind, r.schema, r.name, 'index', ic.relname::text, jsonb_strip_nulls(jsonb_build_object(
  'definition', coalesce(pg_get_indexdef(i.indexrelid), ''), 'state', CASE WHEN i.indisvalid THEN 'valid' ELSE 'invalid' END))
FROM relation r JOIN pg_index i ON i.indrelid = r.oid JOIN pg_class ic ON ic.oid = i.indexrelid
WHERE NOT ic.relispartition AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.conrelid = r.oid AND c.contype IN ('p', 'u', 'x'))`

const triggersSQL = `
SELECT r.kind, r.schema, r.name, 'trigger', t.tgname::text, jsonb_build_object('definition', pg_get_triggerdef(t.oid),
  'state', CASE t.tgenabled WHEN 'O' THEN 'enabled' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'enabled on replicas' WHEN 'A' THEN 'enabled always' END)
FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid WHERE NOT t.tgisinternal AND t.tgparentid = 0`

const rulesSQL = `
SELECT r.kind, r.schema, r.name, 'rule', w.rulename::text, jsonb_build_object('definition', pg_get_ruledef(w.oid),
  'state', CASE w.ev_enabled WHEN 'O' THEN 'enabled' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'enabled on replicas' WHEN 'A' THEN 'enabled always' END)
FROM relation r JOIN pg_rewrite w ON w.ev_class = r.oid WHERE w.rulename <> '_RETURN'`

const policiesSQL = `
SELECT r.kind, r.schema, r.name, 'policy', p.polname::text, jsonb_strip_nulls(jsonb_build_object(
  'mode', CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
  'command', CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
  'roles', (SELECT string_agg(CASE role WHEN 0 THEN 'public' ELSE quote_ident(pg_get_userbyid(role)) END, ', ' ORDER BY pg_get_userbyid(role) COLLATE "C") FROM unnest(p.polroles) role),
  'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid)))
FROM relation r JOIN pg_policy p ON p.polrelid = r.oid`

const statisticsSQL = `
SELECT r.kind, r.schema, r.name, 'statistics', format('%s.%s', s.stxnamespace::regnamespace, quote_ident(s.stxname)), jsonb_build_object('definition', pg_get_statisticsobjdef(s.oid))
FROM relation r JOIN pg_statistic_ext s ON s.stxrelid = r.oid`
