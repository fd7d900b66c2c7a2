-- Who may do what. Everybody who is neither the schema's owner nor granted something here has nothing:
--
--   worker    the daemon's login: runs batches, enqueues and steers. It writes the queue, the jobs and the counters, and cannot
--             rewrite the audit, the runs of the database's own schema, or this schema.
--   enqueuer  an application, a developer: enqueues the Works that it was allowed, on tables that it may write itself; pauses,
--             resumes, cancels and retries. It writes no table, but through the functions.
--   reader    looks.
--
-- Functions that write for their caller are SECURITY DEFINER, with a search_path that nobody else can put anything on.

CREATE TABLE bbm.roles (
  role   text PRIMARY KEY,
  kind   text NOT NULL,
  works  text[] NOT NULL DEFAULT '{}',
  who    text NOT NULL DEFAULT session_user,
  set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT kind_is_known CHECK (kind IN ('worker', 'enqueuer', 'reader'))
);
COMMENT ON TABLE bbm.roles IS 'Roles that were granted something by bbm.grant_role: an upgrade of this schema grants it again, on what is new.';
COMMENT ON COLUMN bbm.roles.works IS 'Works that an enqueuer may enqueue; {*}: all of them, and with a throttle of its own.';

-- Whether the session may enqueue that Work on that table. Whoever may write the queue himself may; of others, the table has to be
-- one that the session's user may write: nobody has done what he may not do. It goes by the session's user, because in a
-- function that is SECURITY DEFINER the current one is its owner; SET ROLE leads to none that the session could not become anyway.
CREATE FUNCTION bbm.demand_right(work text, relation regclass, throttle jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  allowed text[];
BEGIN
  IF has_table_privilege(session_user, 'bbm.batched_background_migrations', 'INSERT') THEN
    RETURN;
  END IF;
  SELECT coalesce(array_agg(w), '{}') INTO allowed
  FROM bbm.roles r JOIN pg_catalog.pg_roles p ON p.rolname = r.role CROSS JOIN LATERAL unnest(r.works) w
  WHERE r.kind = 'enqueuer' AND pg_has_role(session_user, p.oid, 'MEMBER');
  IF (work = ANY (allowed) OR '*' = ANY (allowed)) IS NOT TRUE THEN
    RAISE EXCEPTION 'role "%" may not enqueue the Work "%"', session_user, work USING ERRCODE = 'insufficient_privilege',
      HINT = 'The control schema''s owner allows Works to a role: bbm.grant_role(''...'', ''enqueuer'', ''{' || coalesce(work, '...') || '}'').';
  END IF;
  IF (has_any_column_privilege(session_user, relation, 'INSERT, UPDATE') OR has_table_privilege(session_user, relation, 'DELETE')) IS NOT TRUE THEN
    RAISE EXCEPTION 'role "%" may not write to table %', session_user, relation USING ERRCODE = 'insufficient_privilege',
      HINT = 'What a role may not change, it cannot have changed for it.';
  END IF;
  -- A throttle can have queries in it, which run with the daemon's rights.
  IF throttle IS NOT NULL AND NOT '*' = ANY (allowed) THEN
    RAISE EXCEPTION 'role "%" may not give a migration a throttle of its own', session_user USING ERRCODE = 'insufficient_privilege',
      HINT = 'Leave throttle out: the daemon''s holds.';
  END IF;
END
$$;

-- What bbm.enqueue does once it knows which table is meant: that is the caller's to say, by his own search_path.
CREATE FUNCTION bbm.enqueue_on(
  work text, relation regclass, arguments jsonb, name text, column_name text,
  batch_size int, parallelism int, priority int, depends_on text[],
  max_attempts int, min_value text, max_value text, paused boolean,
  min_batch_size int, max_batch_size int, target_duration interval, pause interval,
  max_quarantined int, batching_strategy text, throttle jsonb
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  qualified text;
  absent    text;
  existing  text;
BEGIN
  PERFORM bbm.demand_right(work, relation, throttle);
  SELECT format('%I.%I', n.nspname, c.relname), coalesce(name, work || '_' || c.relname) INTO qualified, name
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation;
  SELECT string_agg(k, ', ') INTO absent FROM (SELECT btrim(btrim(k), '"') AS k FROM unnest(string_to_array(column_name, ',')) k) s
  WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = relation AND a.attname = k AND a.attnum > 0 AND NOT a.attisdropped);
  IF absent IS NOT NULL THEN
    RAISE EXCEPTION 'table % has no column %', qualified, absent USING ERRCODE = 'undefined_column',
      HINT = 'Leave column_name out to walk along the primary key.';
  END IF;
  SELECT m.status INTO existing FROM bbm.batched_background_migrations m WHERE m.name = enqueue_on.name;
  IF FOUND THEN
    RAISE EXCEPTION 'there is a migration named "%" already, and it is %', name, existing USING ERRCODE = 'unique_violation',
      HINT = 'Give this one a name of its own: bbm.enqueue(..., name => ''...'').';
  END IF;
  INSERT INTO bbm.batched_background_migrations AS m
    (name, job_signature_name, table_name, column_name, arguments, min_value, max_value, batch_size, parallelism, priority, depends_on, max_attempts, status,
     min_batch_size, max_batch_size, target_duration, pause, max_quarantined, batching_strategy, throttle)
  VALUES (name, work, qualified, column_name, coalesce(arguments, '{}'), min_value, max_value, coalesce(batch_size, 1000), coalesce(parallelism, 1),
    coalesce(priority, 0), coalesce(depends_on, '{}'), max_attempts, CASE WHEN paused THEN 'paused' ELSE 'active' END,
    coalesce(min_batch_size, least(10, coalesce(max_batch_size, 10))), coalesce(max_batch_size, greatest(100000, coalesce(min_batch_size, 0))),
    target_duration, coalesce(pause, '0'), coalesce(max_quarantined, 0), coalesce(batching_strategy, 'keyset'), throttle);
  RETURN name;
END
$$;

CREATE OR REPLACE FUNCTION bbm.enqueue(
  work text, table_name text, arguments jsonb DEFAULT '{}', name text DEFAULT NULL, column_name text DEFAULT NULL,
  batch_size int DEFAULT NULL, parallelism int DEFAULT NULL, priority int DEFAULT NULL, depends_on text[] DEFAULT NULL,
  max_attempts int DEFAULT NULL, min_value text DEFAULT NULL, max_value text DEFAULT NULL, paused boolean DEFAULT false,
  min_batch_size int DEFAULT NULL, max_batch_size int DEFAULT NULL, target_duration interval DEFAULT NULL, pause interval DEFAULT NULL,
  max_quarantined int DEFAULT NULL, batching_strategy text DEFAULT 'keyset', throttle jsonb DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
  relation regclass := pg_catalog.to_regclass(table_name);
BEGIN
  IF relation IS NULL THEN
    RAISE EXCEPTION 'table "%" does not exist', table_name USING ERRCODE = 'undefined_table',
      HINT = 'Give its schema as well, as in public.users, and check that it is in this database.';
  END IF;
  RETURN bbm.enqueue_on(work, relation, arguments, name, column_name, batch_size, parallelism, priority, depends_on, max_attempts, min_value, max_value, paused,
    min_batch_size, max_batch_size, target_duration, pause, max_quarantined, batching_strategy, throttle);
END
$$;

ALTER FUNCTION bbm.pause(text, text) SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION bbm.resume(text) SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION bbm.cancel(text, text) SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION bbm.retry(text) SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION bbm.retry_quarantined(text, text[]) SECURITY DEFINER SET search_path = pg_catalog, pg_temp;

-- Whoever changes a migration need not be able to write what the triggers write: the audit is theirs alone.
ALTER FUNCTION bbm.guard_migration_insert() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION bbm.guard_migration_update() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION bbm.guard_migration_delete() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION bbm.record_transition() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION bbm.guard_job_chain() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION bbm.notify_change() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION bbm.mark_production(text) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION bbm.unmark_production() SET search_path = pg_catalog, pg_temp;

CREATE FUNCTION bbm.grant_role(role text, kind text, works text[] DEFAULT '{}') RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  grantee  text := quote_ident(role);
  function regprocedure;
BEGIN
  IF kind IS DISTINCT FROM 'enqueuer' AND works <> '{}' THEN
    RAISE EXCEPTION 'Works are allowed to an enqueuer, not to a %', kind USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM bbm.revoke_role(role);
  INSERT INTO bbm.roles (role, kind, works) VALUES (role, kind, coalesce(works, '{}'));
  EXECUTE 'GRANT USAGE ON SCHEMA @schema@ TO ' || grantee;
  EXECUTE 'GRANT SELECT ON ALL TABLES IN SCHEMA @schema@ TO ' || grantee;
  FOR function IN
    SELECT p.oid FROM pg_proc p JOIN pg_class c ON c.relnamespace = p.pronamespace
    WHERE c.oid = 'bbm.roles'::regclass AND (p.proname = 'table_named' OR kind <> 'reader' AND
      p.proname IN ('enqueue', 'enqueue_on', 'pause', 'resume', 'cancel', 'retry', 'retry_quarantined'))
  LOOP
    EXECUTE 'GRANT EXECUTE ON FUNCTION ' || function || ' TO ' || grantee;
  END LOOP;
  IF kind = 'worker' THEN
    EXECUTE 'GRANT INSERT, UPDATE ON bbm.batched_background_migrations, bbm.batched_background_migration_jobs TO ' || grantee;
    EXECUTE 'GRANT INSERT, UPDATE, DELETE ON bbm.counters TO ' || grantee;
    EXECUTE 'GRANT INSERT ON bbm.quarantine TO ' || grantee;
    EXECUTE 'GRANT INSERT (batched_background_migration_id, name, what) ON bbm.changes TO ' || grantee;
    EXECUTE 'GRANT USAGE ON SEQUENCE bbm.owner_epoch TO ' || grantee;
  END IF;
END
$$;
COMMENT ON FUNCTION bbm.grant_role(text, text, text[]) IS
  'Gives a role what a worker, an enqueuer (of these Works; {*}: all) or a reader needs in this schema, and takes what it had there. For the schema''s owner.';

CREATE FUNCTION bbm.revoke_role(role text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  grantee text := quote_ident(role);
BEGIN
  IF role = 'public' THEN
    RAISE EXCEPTION 'public is everybody, and no role' USING ERRCODE = 'invalid_parameter_value', HINT = 'Name the roles.';
  ELSIF EXISTS (SELECT FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE c.oid = 'bbm.roles'::regclass AND r.rolname = role) THEN
    RAISE EXCEPTION 'role "%" owns this schema: it may do everything in it', role USING ERRCODE = 'invalid_parameter_value',
      HINT = 'Let another role log in, and grant it what it needs.';
  END IF;
  EXECUTE 'REVOKE ALL ON ALL TABLES IN SCHEMA @schema@ FROM ' || grantee;
  EXECUTE 'REVOKE ALL ON ALL SEQUENCES IN SCHEMA @schema@ FROM ' || grantee;
  EXECUTE 'REVOKE ALL ON ALL FUNCTIONS IN SCHEMA @schema@ FROM ' || grantee;
  EXECUTE 'REVOKE ALL ON SCHEMA @schema@ FROM ' || grantee;
  DELETE FROM bbm.roles r WHERE r.role = revoke_role.role;
END
$$;
COMMENT ON FUNCTION bbm.revoke_role(text) IS 'Takes from a role everything that it was granted in this schema.';

-- What others could do by grants of their own, before functions were revoked from everybody, they still can.
DO $$
DECLARE
  given record;
BEGIN
  FOR given IN
    SELECT DISTINCT p.oid::regprocedure AS function, pg_get_userbyid(a.grantee) AS role
    FROM (VALUES ('batched_background_migrations', 'SELECT', '{table_named}'::text[]),
      ('batched_background_migrations', 'INSERT', '{enqueue,enqueue_on}'),
      ('batched_background_migrations', 'UPDATE', '{pause,resume,cancel,retry,set_status}'),
      ('batched_background_migration_jobs', 'UPDATE', '{retry_quarantined}'),
      ('settings', 'INSERT', '{mark_production,unmark_production}')) AS w (relation, privilege, functions)
    JOIN pg_catalog.pg_class c ON c.relname = w.relation AND c.relnamespace = (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = 'bbm.roles'::regclass)
    CROSS JOIN LATERAL aclexplode(c.relacl) a
    JOIN pg_catalog.pg_proc p ON p.pronamespace = c.relnamespace AND p.proname = ANY (w.functions)
    WHERE a.privilege_type = w.privilege AND a.grantee NOT IN (0, c.relowner)
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', given.function, given.role);
  END LOOP;
END
$$;
