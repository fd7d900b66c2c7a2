-- The control schema: what bbmd knows of background migrations, and the SQL
-- interface to it. The schema's name is configurable; this file says "bbm.".
-- Column names follow the GitLab container registry where it has them.
-- Keys are text renderings of the key's columns and are only ever compared in
-- SQL, as the columns' own types.

CREATE TABLE bbm.batched_background_migrations (
  id                 int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name               text NOT NULL,
  job_signature_name text NOT NULL,
  table_name         text NOT NULL,
  column_name        text,
  arguments          jsonb NOT NULL DEFAULT '{}',
  min_value          text,
  max_value          text,
  batch_size         int NOT NULL DEFAULT 1000,
  min_batch_size     int NOT NULL DEFAULT 10,
  max_batch_size     int NOT NULL DEFAULT 100000,
  target_duration    interval,
  pause              interval NOT NULL DEFAULT '0',
  throttle           jsonb,
  batching_strategy  text NOT NULL DEFAULT 'keyset',
  parallelism        int NOT NULL DEFAULT 1,
  priority           int NOT NULL DEFAULT 0,
  depends_on         text[] NOT NULL DEFAULT '{}',
  max_attempts       int,
  max_quarantined    int NOT NULL DEFAULT 0,
  status             text NOT NULL DEFAULT 'active',
  status_reason      text,
  failure_error_code smallint,
  error_message      text,
  error_sqlstate     text,
  total_tuple_count  bigint,
  landmarks          text[],
  rows_done          bigint NOT NULL DEFAULT 0,
  keys_done          bigint NOT NULL DEFAULT 0,
  batches_done       bigint NOT NULL DEFAULT 0,
  work_version       int,
  verify             boolean NOT NULL DEFAULT false,
  verified_ordinal   bigint NOT NULL DEFAULT 0,
  table_oid          oid,
  key_columns        text[],
  key_types          text[],
  key_collation      text,
  created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  started_at         timestamptz,
  finished_at        timestamptz,
  updated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),

  CONSTRAINT name_is_taken_already UNIQUE (name),
  CONSTRAINT name_has_1_to_200_characters CHECK (length(name) BETWEEN 1 AND 200),
  CONSTRAINT job_signature_name_is_not_empty CHECK (job_signature_name <> ''),
  CONSTRAINT table_name_is_not_empty CHECK (table_name <> ''),
  CONSTRAINT column_name_is_null_or_not_empty CHECK (column_name <> ''),
  CONSTRAINT arguments_are_a_json_object CHECK (jsonb_typeof(arguments) = 'object'),
  CONSTRAINT batch_size_is_between_1_and_10_million CHECK (batch_size BETWEEN 1 AND 10000000),
  CONSTRAINT min_batch_size_is_between_1_and_max_batch_size CHECK (min_batch_size BETWEEN 1 AND max_batch_size),
  CONSTRAINT max_batch_size_is_at_most_10_million CHECK (max_batch_size <= 10000000),
  CONSTRAINT target_duration_is_not_negative CHECK (target_duration >= '0'),
  CONSTRAINT pause_is_between_0_and_1_minute CHECK (pause BETWEEN '0' AND '1 minute'),
  CONSTRAINT throttle_is_a_json_object CHECK (jsonb_typeof(throttle) = 'object'),
  CONSTRAINT max_quarantined_is_not_negative CHECK (max_quarantined >= 0),
  CONSTRAINT batching_strategy_is_keyset_or_null CHECK (batching_strategy IN ('keyset', 'null')),
  CONSTRAINT null_strategy_names_one_column_and_no_range CHECK (batching_strategy = 'keyset' OR column_name IS NOT NULL AND min_value IS NULL),
  CONSTRAINT parallelism_is_between_1_and_64 CHECK (parallelism BETWEEN 1 AND 64),
  CONSTRAINT max_attempts_is_between_1_and_100 CHECK (max_attempts BETWEEN 1 AND 100),
  CONSTRAINT status_is_known CHECK (status IN ('paused', 'active', 'running', 'finished', 'failed', 'cancelled'))
) WITH (fillfactor = 70);

COMMENT ON TABLE bbm.batched_background_migrations IS 'One row per background migration. INSERT name, job_signature_name and table_name; everything else has a default.';
COMMENT ON COLUMN bbm.batched_background_migrations.job_signature_name IS 'Name of the registered Work that processes a batch.';
COMMENT ON COLUMN bbm.batched_background_migrations.column_name IS 'Key columns the batches walk along, separated by commas; NULL: the primary key.';
COMMENT ON COLUMN bbm.batched_background_migrations.batching_strategy IS 'keyset: batches are ranges of a unique key. null: batches are rows whose column_name IS NULL, until none is left; it needs a partial index.';
COMMENT ON COLUMN bbm.batched_background_migrations.min_value IS 'First key, inclusive; NULL: the smallest when the migration starts. Several columns: a JSON array of texts.';
COMMENT ON COLUMN bbm.batched_background_migrations.max_value IS 'Last key, inclusive; NULL: the greatest when the migration starts.';
COMMENT ON COLUMN bbm.batched_background_migrations.batch_size IS 'Keys of the first batches; from then on the time of the batches steers it towards target_duration.';
COMMENT ON COLUMN bbm.batched_background_migrations.target_duration IS 'How long one batch is to take; NULL: as the daemon is configured; 0: batch_size stays as it is.';
COMMENT ON COLUMN bbm.batched_background_migrations.pause IS 'How long a worker rests after each batch.';
COMMENT ON COLUMN bbm.batched_background_migrations.throttle IS 'What is different from the daemon''s throttle for this migration, such as {"duty": 0.3, "windows": ["22:00-06:00 UTC"]}.';
COMMENT ON COLUMN bbm.batched_background_migrations.max_quarantined IS 'How many rows may be set aside in bbm.quarantine because their batch fails however small it is; one more fails the migration.';
COMMENT ON COLUMN bbm.batched_background_migrations.parallelism IS 'How many workers, over all replicas, may process its batches at the same time.';
COMMENT ON COLUMN bbm.batched_background_migrations.priority IS 'Lower runs first; equal ones in the order of id.';
COMMENT ON COLUMN bbm.batched_background_migrations.depends_on IS 'Names of migrations that must have finished before this one starts.';
COMMENT ON COLUMN bbm.batched_background_migrations.max_attempts IS 'How often a batch may fail before the migration fails; NULL: as the daemon is configured.';
COMMENT ON COLUMN bbm.batched_background_migrations.status_reason IS 'Why nothing moves, whenever nothing moves.';
COMMENT ON COLUMN bbm.batched_background_migrations.failure_error_code IS '0 unknown, 1 table, 2 key column, 3 work or arguments, 4 a job used up its attempts.';
COMMENT ON COLUMN bbm.batched_background_migrations.verify IS 'Its Work can tell whether a range is as it should be: finished only when all are.';
COMMENT ON COLUMN bbm.batched_background_migrations.verified_ordinal IS 'How far along the chain of jobs the ranges are verified.';
COMMENT ON COLUMN bbm.batched_background_migrations.total_tuple_count IS 'Rows in its range, estimated when it starts and again while it runs; NULL: nobody can know.';
COMMENT ON COLUMN bbm.batched_background_migrations.landmarks IS 'Keys of a sample of the rows, in their order, each as many rows behind the one before; NULL: the statistics of the table are good enough.';
COMMENT ON COLUMN bbm.batched_background_migrations.rows_done IS 'Rows changed, as of the last fold of the counters; the view bbm.progress has the live figure.';

-- One table has one running migration at a time. A migration that waits is
-- active, not running, so that it does not keep others off its table.
CREATE UNIQUE INDEX one_running_migration_per_table ON bbm.batched_background_migrations (table_oid) WHERE status = 'running';
CREATE INDEX ON bbm.batched_background_migrations (priority, id) WHERE status IN ('active', 'running');

-- The jobs of a migration form a chain: each covers (after_value, max_value],
-- and its ordinal is its place. There is no foreign key: it would cost every
-- claim a look-up of the same row; a trigger keeps the two tables together.
CREATE TABLE bbm.batched_background_migration_jobs (
  id                              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  batched_background_migration_id int NOT NULL,
  ordinal                         bigint,
  after_value                     text,
  min_value                       text,
  max_value                       text NOT NULL,
  batch_size                      int NOT NULL,
  status                          text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'pending', 'finished', 'failed')),
  attempts                        int NOT NULL DEFAULT 0,
  crashes                         int NOT NULL DEFAULT 0,
  transients                      int NOT NULL DEFAULT 0,
  verifications                   int NOT NULL DEFAULT 0,
  careful                         boolean NOT NULL DEFAULT false,
  next_attempt_at                 timestamptz NOT NULL DEFAULT clock_timestamp(),
  owner                           int,
  rows_affected                   bigint,
  duration_ms                     real,
  error_message                   text,
  error_sqlstate                  text,
  started_at                      timestamptz DEFAULT clock_timestamp(),
  finished_at                     timestamptz,
  UNIQUE (batched_background_migration_id, ordinal),
  CONSTRAINT running_jobs_have_an_owner CHECK ((status = 'running') = (owner IS NOT NULL))
) WITH (fillfactor = 50); -- room for a job's later versions on its own page

-- Only the open jobs, so that no look-up ever grows with the finished ones.
CREATE INDEX open_jobs ON bbm.batched_background_migration_jobs (batched_background_migration_id, id) WHERE status <> 'finished';

-- Every claim asks for pending jobs. In open_jobs it would pass over all that were
-- finished since the oldest snapshot that some session still holds; these few were never there.
CREATE INDEX pending_jobs ON bbm.batched_background_migration_jobs (batched_background_migration_id, id) WHERE status = 'pending';

COMMENT ON TABLE bbm.batched_background_migration_jobs IS 'One row per batch: the keys in (after_value, max_value], from min_value on where after_value is NULL.';
COMMENT ON COLUMN bbm.batched_background_migration_jobs.ordinal IS 'Place in the migration''s chain of jobs; NULL for the lower half of a split job.';
COMMENT ON COLUMN bbm.batched_background_migration_jobs.attempts IS 'Starts that were committed beforehand, or failures that the Work reported.';
COMMENT ON COLUMN bbm.batched_background_migration_jobs.crashes IS 'Of the attempts, how many ended because their worker died.';
COMMENT ON COLUMN bbm.batched_background_migration_jobs.transients IS 'Failures that were nobody''s fault (deadlocks, lock time-outs, lost connections) and did not count as attempts.';
COMMENT ON COLUMN bbm.batched_background_migration_jobs.verifications IS 'How often its range was found wrong after it had finished, and was queued again.';
COMMENT ON COLUMN bbm.batched_background_migration_jobs.careful IS 'The current start was claimed alone, and its attempt committed before the work began.';
COMMENT ON COLUMN bbm.batched_background_migration_jobs.owner IS 'Epoch of the worker that claimed it; its session holds the advisory lock (7701, owner).';
COMMENT ON COLUMN bbm.batched_background_migration_jobs.rows_affected IS 'Written once a second for the jobs before it, so that it may be missing after a crash.';

CREATE SEQUENCE bbm.owner_epoch AS int CYCLE;

-- Progress, one row per owner and migration, so that no two workers and no two
-- batches ever meet on a row.
CREATE TABLE bbm.counters (
  batched_background_migration_id int NOT NULL,
  owner                           int NOT NULL,
  batches                         bigint NOT NULL DEFAULT 0,
  keys                            bigint NOT NULL DEFAULT 0,
  rows                            bigint NOT NULL DEFAULT 0,
  batch_size                      int,
  p90_ms                          real,
  batch_size_reason               text,
  throttled                       text,
  percent                         real,
  window_start                    timestamptz NOT NULL DEFAULT clock_timestamp(),
  window_keys                     bigint NOT NULL DEFAULT 0,
  earlier_start                   timestamptz,
  earlier_keys                    bigint NOT NULL DEFAULT 0,
  updated_at                      timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (batched_background_migration_id, owner)
) WITH (fillfactor = 50);

COMMENT ON COLUMN bbm.counters.percent IS 'How far the migration was when the owner counted last; it never falls, whatever becomes of the estimate.';
COMMENT ON COLUMN bbm.counters.window_keys IS 'Keys since window_start, before it those since earlier_start: the speed of the last 15 to 30 seconds.';

-- Rows that no retry could process, set aside so that the rest goes on.
CREATE TABLE bbm.quarantine (
  id                              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  batched_background_migration_id int NOT NULL,
  batched_background_migration_job_id bigint NOT NULL,
  key                             text NOT NULL,
  attempts                        int NOT NULL,
  error_message                   text,
  error_sqlstate                  text,
  created_at                      timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (batched_background_migration_id, batched_background_migration_job_id)
);
COMMENT ON TABLE bbm.quarantine IS 'Rows whose batch fails however small it is, one row each. bbm.retry_quarantined(name) tries them again.';

CREATE TABLE bbm.transitions (
  id                              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  batched_background_migration_id int NOT NULL,
  name                            text NOT NULL,
  from_status                     text,
  to_status                       text NOT NULL,
  reason                          text,
  who                             text NOT NULL DEFAULT session_user,
  application                     text NOT NULL DEFAULT current_setting('application_name'),
  at                              timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON bbm.transitions (batched_background_migration_id, id);
COMMENT ON TABLE bbm.transitions IS 'Audit: every change of a migration''s status, from what, to what, why, and by whom.';

CREATE FUNCTION bbm.transition_is_possible(from_status text, to_status text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE from_status
    WHEN 'active'  THEN to_status IN ('running', 'paused', 'finished', 'failed', 'cancelled')
    WHEN 'running' THEN to_status IN ('active', 'paused', 'finished', 'failed', 'cancelled')
    WHEN 'paused'  THEN to_status IN ('active', 'cancelled')
    WHEN 'failed'  THEN to_status IN ('active', 'cancelled')
    ELSE false
  END
$$;

-- The table of that name, or NULL: also where the name is malformed, or leads to a schema that
-- may not be looked into. One such row must not keep all others from being scanned.
CREATE FUNCTION bbm.table_named(name text) RETURNS oid
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN to_regclass(name);
EXCEPTION WHEN OTHERS THEN
  RETURN NULL;
END
$$;

CREATE FUNCTION bbm.demand_table_name(migration text, table_name text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM to_regclass(table_name);
EXCEPTION
  WHEN insufficient_privilege THEN
    NULL; -- who runs it may be allowed to
  WHEN OTHERS THEN
    RAISE EXCEPTION 'migration "%": % is not a table''s name: %', migration, table_name, SQLERRM USING ERRCODE = 'invalid_name',
      HINT = 'Write it as in SQL, with its schema: public.users, or public."Users".';
END
$$;

CREATE FUNCTION bbm.guard_migration_insert() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM bbm.demand_table_name(NEW.name, NEW.table_name);
  IF NEW.status NOT IN ('active', 'paused') THEN
    RAISE EXCEPTION 'migration "%": a new migration is active or paused, not %', NEW.name, NEW.status
      USING ERRCODE = 'check_violation', HINT = 'Leave status out: it is active by default.';
  END IF;
  RETURN NEW;
END
$$;

CREATE FUNCTION bbm.guard_migration_update() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := clock_timestamp();
  IF NEW.table_name <> OLD.table_name THEN
    PERFORM bbm.demand_table_name(NEW.name, NEW.table_name);
  END IF;
  IF OLD.table_oid IS NOT NULL AND
     (NEW.name, NEW.job_signature_name, NEW.table_name, NEW.column_name, NEW.batching_strategy, NEW.arguments, NEW.min_value,
      -- with the null strategy the end is only known when no row is left
      CASE WHEN OLD.batching_strategy = 'null' AND OLD.max_value IS NULL THEN NULL ELSE NEW.max_value END, NEW.table_oid, NEW.key_columns, NEW.key_types, NEW.work_version) IS DISTINCT FROM
     (OLD.name, OLD.job_signature_name, OLD.table_name, OLD.column_name, OLD.batching_strategy, OLD.arguments, OLD.min_value,
      OLD.max_value, OLD.table_oid, OLD.key_columns, OLD.key_types, OLD.work_version)
  THEN
    RAISE EXCEPTION 'migration "%" has started: its name, work, table, key, range and arguments cannot change any more', OLD.name
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Cancel it, and enqueue another one under a new name.';
  END IF;
  IF NEW.status = OLD.status THEN
    RETURN NEW;
  END IF;
  IF NOT bbm.transition_is_possible(OLD.status, NEW.status) AND NOT (OLD.status = 'finished' AND NEW.status = 'active' AND EXISTS (
       SELECT FROM bbm.batched_background_migration_jobs WHERE batched_background_migration_id = OLD.id AND status <> 'finished')) THEN
    RAISE EXCEPTION 'migration "%" is %: it cannot become %', OLD.name, OLD.status, NEW.status
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = CASE OLD.status
        WHEN 'paused' THEN 'A paused migration is resumed by making it active, or cancelled.'
        WHEN 'failed' THEN 'A failed migration is retried by making it active, or cancelled.'
        ELSE 'A migration that is over stays so; enqueue another one under a new name.' END;
  END IF;
  IF NEW.status_reason IS NOT DISTINCT FROM OLD.status_reason THEN
    NEW.status_reason := NULL;
  END IF;
  IF NEW.status = 'active' THEN
    NEW.failure_error_code := NULL;
    NEW.error_message := NULL;
    NEW.error_sqlstate := NULL;
    NEW.finished_at := NULL;
  ELSIF NEW.status IN ('finished', 'failed', 'cancelled') THEN
    NEW.finished_at := clock_timestamp();
  END IF;
  -- Whoever writes a status writes it durably: others act on it at once.
  IF current_setting('synchronous_commit') IN ('off', 'local') THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  RETURN NEW;
END
$$;

CREATE FUNCTION bbm.record_transition() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO bbm.transitions (batched_background_migration_id, name, from_status, to_status, reason)
  VALUES (NEW.id, NEW.name, CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, NEW.status, NEW.status_reason);
  IF TG_OP = 'UPDATE' AND OLD.status = 'failed' AND NEW.status = 'active' THEN
    UPDATE bbm.batched_background_migration_jobs
    SET status = 'pending', attempts = 0, crashes = 0, transients = 0, next_attempt_at = clock_timestamp()
    WHERE batched_background_migration_id = NEW.id AND status = 'failed';
  END IF;
  RETURN NULL;
END
$$;

CREATE FUNCTION bbm.notify_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify(TG_ARGV[0], '');
  RETURN NULL;
END
$$;

CREATE FUNCTION bbm.guard_migration_delete() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  -- Running jobs of an owner that is dead, whose lock is free, are nobody's work.
  IF OLD.status IN ('active', 'running') OR EXISTS (
    SELECT FROM (SELECT DISTINCT owner FROM bbm.batched_background_migration_jobs WHERE batched_background_migration_id = OLD.id AND status = 'running') o
    WHERE NOT pg_try_advisory_xact_lock(7701, o.owner))
  THEN
    RAISE EXCEPTION 'migration "%" is %: it cannot be deleted while it may be at work', OLD.name, OLD.status
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Cancel it first.';
  END IF;
  DELETE FROM bbm.batched_background_migration_jobs WHERE batched_background_migration_id = OLD.id;
  DELETE FROM bbm.counters WHERE batched_background_migration_id = OLD.id;
  DELETE FROM bbm.quarantine WHERE batched_background_migration_id = OLD.id;
  RETURN OLD;
END
$$;

-- The chain of jobs is what proves that every row was processed once.
CREATE FUNCTION bbm.guard_job_chain() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND (NEW.batched_background_migration_id, NEW.ordinal, NEW.max_value)
     IS NOT DISTINCT FROM (OLD.batched_background_migration_id, OLD.ordinal, OLD.max_value) THEN
    RETURN NEW;
  END IF;
  IF EXISTS (SELECT FROM bbm.batched_background_migrations WHERE id = OLD.batched_background_migration_id AND status NOT IN ('finished', 'cancelled')) THEN
    RAISE EXCEPTION 'job % belongs to a migration that is not over: its place and its end stay as they are', OLD.id
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Cancel the migration first.';
  END IF;
  RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END
$$;

CREATE TRIGGER guard_insert BEFORE INSERT ON bbm.batched_background_migrations
  FOR EACH ROW EXECUTE FUNCTION bbm.guard_migration_insert();
CREATE TRIGGER guard_update BEFORE UPDATE ON bbm.batched_background_migrations
  FOR EACH ROW EXECUTE FUNCTION bbm.guard_migration_update();
CREATE TRIGGER guard_delete BEFORE DELETE ON bbm.batched_background_migrations
  FOR EACH ROW EXECUTE FUNCTION bbm.guard_migration_delete();
CREATE TRIGGER record_insert AFTER INSERT ON bbm.batched_background_migrations
  FOR EACH ROW EXECUTE FUNCTION bbm.record_transition();
CREATE TRIGGER record_update AFTER UPDATE ON bbm.batched_background_migrations
  FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION bbm.record_transition();

-- Constant payloads: PostgreSQL folds equal notifications of a transaction into one.
CREATE TRIGGER notify_new AFTER INSERT ON bbm.batched_background_migrations
  FOR EACH STATEMENT EXECUTE FUNCTION bbm.notify_change('bbm_new');
CREATE TRIGGER notify_status AFTER UPDATE ON bbm.batched_background_migrations
  FOR EACH ROW WHEN ((OLD.status, OLD.batch_size, OLD.min_batch_size, OLD.max_batch_size, OLD.target_duration, OLD.pause, OLD.throttle,
      OLD.parallelism, OLD.priority, OLD.depends_on, OLD.max_attempts, OLD.max_quarantined) IS DISTINCT FROM
    (NEW.status, NEW.batch_size, NEW.min_batch_size, NEW.max_batch_size, NEW.target_duration, NEW.pause, NEW.throttle,
      NEW.parallelism, NEW.priority, NEW.depends_on, NEW.max_attempts, NEW.max_quarantined))
  EXECUTE FUNCTION bbm.notify_change('bbm_status');

CREATE TRIGGER guard_chain BEFORE UPDATE OF batched_background_migration_id, ordinal, max_value ON bbm.batched_background_migration_jobs
  FOR EACH ROW EXECUTE FUNCTION bbm.guard_job_chain();
CREATE TRIGGER guard_chain_delete BEFORE DELETE ON bbm.batched_background_migration_jobs
  FOR EACH ROW EXECUTE FUNCTION bbm.guard_job_chain();

-- What is counted is read from the counters, one row per worker, and from the index of the
-- open jobs: it costs the same whatever a migration has behind it.
CREATE VIEW bbm.progress AS
SELECT m.id, m.name, m.job_signature_name, m.table_name, m.status, m.status_reason,
  c.rows_done, c.keys_done, c.batches_done, m.total_tuple_count,
  CASE WHEN m.status = 'finished' THEN 100.0
       ELSE round(least(coalesce(c.percent::numeric, 100.0 * c.keys_done / nullif(greatest(m.total_tuple_count, 0), 0), 0.0), 99.9), 1) END AS percent,
  r.keys_per_second,
  CASE WHEN m.status_reason IS NULL AND m.total_tuple_count > c.keys_done
    THEN make_interval(secs => (m.total_tuple_count - c.keys_done) / nullif(r.keys_per_second, 0)) END AS time_left,
  f.failed_jobs, q.quarantined, c.batch_size, c.p90_ms, c.batch_size_reason,
  CASE WHEN m.status = 'running' THEN c.throttled END AS throttled, m.error_message, m.error_sqlstate, m.created_at, m.started_at, m.finished_at,
  coalesce(m.finished_at, clock_timestamp()) - m.started_at AS elapsed,
  s.since AS status_since, greatest(m.updated_at, c.updated_at) AS updated_at
FROM bbm.batched_background_migrations m
CROSS JOIN LATERAL (
  SELECT m.rows_done + coalesce(sum(rows), 0)::bigint AS rows_done, m.keys_done + coalesce(sum(keys), 0)::bigint AS keys_done,
    m.batches_done + coalesce(sum(batches), 0)::bigint AS batches_done, max(percent) AS percent, max(updated_at) AS updated_at,
    (array_agg(batch_size ORDER BY updated_at DESC))[1] AS batch_size, (array_agg(p90_ms ORDER BY updated_at DESC))[1] AS p90_ms,
    (array_agg(batch_size_reason ORDER BY updated_at DESC))[1] AS batch_size_reason,
    (array_agg(throttled ORDER BY updated_at DESC))[1] AS throttled
  FROM bbm.counters WHERE batched_background_migration_id = m.id) c
CROSS JOIN LATERAL (SELECT (
  SELECT at FROM bbm.transitions WHERE batched_background_migration_id = m.id ORDER BY id DESC LIMIT 1) AS since) s
-- Of those who have counted since it became running, and not so long ago that they may be gone.
CROSS JOIN LATERAL (
  SELECT sum((earlier_keys + window_keys) / nullif(extract(epoch FROM greatest(updated_at, clock_timestamp() - interval '3 seconds') - start)::float8, 0)) AS keys_per_second
  FROM bbm.counters CROSS JOIN LATERAL (SELECT coalesce(earlier_start, window_start) AS start) w
  WHERE batched_background_migration_id = m.id AND m.status = 'running' AND start >= s.since AND updated_at >= start + interval '0.5 seconds'
    AND updated_at > clock_timestamp() - interval '5 seconds' - coalesce(3 * p90_ms, 25000) * interval '1 millisecond') r
CROSS JOIN LATERAL (
  SELECT count(*) AS failed_jobs FROM bbm.batched_background_migration_jobs
  WHERE batched_background_migration_id = m.id AND status = 'failed') f
CROSS JOIN LATERAL (SELECT count(*) AS quarantined FROM bbm.quarantine WHERE batched_background_migration_id = m.id) q;
COMMENT ON VIEW bbm.progress IS 'How far each migration is. Figures are counted once a second and are estimates until it has finished.';

-- The functions below are the SQL interface. They name what is wrong at once.

CREATE FUNCTION bbm.enqueue(
  work text, table_name text, arguments jsonb DEFAULT '{}', name text DEFAULT NULL, column_name text DEFAULT NULL,
  batch_size int DEFAULT NULL, parallelism int DEFAULT NULL, priority int DEFAULT NULL, depends_on text[] DEFAULT NULL,
  max_attempts int DEFAULT NULL, min_value text DEFAULT NULL, max_value text DEFAULT NULL, paused boolean DEFAULT false,
  min_batch_size int DEFAULT NULL, max_batch_size int DEFAULT NULL, target_duration interval DEFAULT NULL, pause interval DEFAULT NULL,
  max_quarantined int DEFAULT NULL, batching_strategy text DEFAULT 'keyset', throttle jsonb DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
  relation  regclass := to_regclass(table_name);
  qualified text;
  absent    text;
  existing  text;
BEGIN
  IF relation IS NULL THEN
    RAISE EXCEPTION 'table "%" does not exist', table_name USING ERRCODE = 'undefined_table',
      HINT = 'Give its schema as well, as in public.users, and check that it is in this database.';
  END IF;
  SELECT format('%I.%I', n.nspname, c.relname), coalesce(name, work || '_' || c.relname) INTO qualified, name
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation;
  SELECT string_agg(k, ', ') INTO absent FROM (SELECT btrim(btrim(k), '"') AS k FROM unnest(string_to_array(column_name, ',')) k) s
  WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = relation AND a.attname = k AND a.attnum > 0 AND NOT a.attisdropped);
  IF absent IS NOT NULL THEN
    RAISE EXCEPTION 'table % has no column %', qualified, absent USING ERRCODE = 'undefined_column',
      HINT = 'Leave column_name out to walk along the primary key.';
  END IF;
  SELECT m.status INTO existing FROM bbm.batched_background_migrations m WHERE m.name = enqueue.name;
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

CREATE FUNCTION bbm.set_status(migration text, to_status text, reason text, already text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  current text;
BEGIN
  SELECT status INTO current FROM bbm.batched_background_migrations WHERE name = migration FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no migration named "%"', migration USING ERRCODE = 'no_data_found',
      HINT = 'SELECT name, status FROM bbm.progress lists them.';
  END IF;
  IF current = ANY (already) THEN
    RETURN;
  END IF;
  UPDATE bbm.batched_background_migrations SET status = to_status, status_reason = reason WHERE name = migration;
END
$$;

CREATE FUNCTION bbm.pause(name text, reason text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
  SELECT bbm.set_status(name, 'paused', coalesce(reason, 'paused by ' || session_user), '{paused}')
$$;
CREATE FUNCTION bbm.resume(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM bbm.batched_background_migrations m WHERE m.name = resume.name AND status = 'failed') THEN
    RAISE EXCEPTION 'migration "%" has failed: it cannot be resumed', name USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = 'See its error_message, mend the cause, then: SELECT bbm.retry(''' || name || ''').';
  END IF;
  PERFORM bbm.set_status(name, 'active', NULL, '{active,running}');
END
$$;
CREATE FUNCTION bbm.cancel(name text, reason text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
  SELECT bbm.set_status(name, 'cancelled', coalesce(reason, 'cancelled by ' || session_user), '{cancelled}')
$$;
CREATE FUNCTION bbm.retry(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM bbm.batched_background_migrations m WHERE m.name = retry.name AND status = 'paused') THEN
    RAISE EXCEPTION 'migration "%" is paused: there is nothing to retry', name USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = 'SELECT bbm.resume(''' || name || ''') lets it go on.';
  END IF;
  PERFORM bbm.set_status(name, 'active', NULL, '{active,running}');
END
$$;

-- Tries the rows in quarantine again, all or those with the given keys. It
-- returns how many; the migration becomes active for them if it has finished.
CREATE FUNCTION bbm.retry_quarantined(name text, keys text[] DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
  migration bbm.batched_background_migrations;
  retried   bigint;
BEGIN
  SELECT * INTO migration FROM bbm.batched_background_migrations m WHERE m.name = retry_quarantined.name FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no migration named "%"', name USING ERRCODE = 'no_data_found',
      HINT = 'SELECT name, status FROM bbm.progress lists them.';
  END IF;
  WITH freed AS (
    DELETE FROM bbm.quarantine q WHERE q.batched_background_migration_id = migration.id AND (keys IS NULL OR q.key = ANY (keys))
    RETURNING q.batched_background_migration_job_id AS job
  )
  UPDATE bbm.batched_background_migration_jobs j
  SET status = 'pending', attempts = 0, crashes = 0, transients = 0, next_attempt_at = clock_timestamp(), finished_at = NULL
  FROM freed WHERE j.id = freed.job;
  GET DIAGNOSTICS retried = ROW_COUNT;
  IF retried > 0 AND migration.status IN ('finished', 'failed') THEN
    UPDATE bbm.batched_background_migrations m SET status = 'active', status_reason = 'rows in quarantine are tried again' WHERE m.id = migration.id;
  ELSIF retried > 0 THEN
    PERFORM pg_notify('bbm_status', '');
  END IF;
  RETURN retried;
END
$$;

-- How the database itself was brought up: one row per run of bbmd that changed
-- its schema, or tried to. A run writes them on a connection of its own, so that they stay when
-- its changes roll back.
CREATE TABLE bbm.runs (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  action          text NOT NULL CHECK (action IN ('create', 'migrate', 'baseline', 'recreate', 'stamp')),
  outcome         text NOT NULL DEFAULT 'running' CHECK (outcome IN ('running', 'finished', 'failed', 'interrupted')),
  state_before    text NOT NULL,
  tool            text,
  from_versions   text[] NOT NULL DEFAULT '{}',
  to_versions     text[] NOT NULL DEFAULT '{}',
  reason          text,
  plan            jsonb NOT NULL,
  log             text NOT NULL DEFAULT '',
  indexes         oid[] NOT NULL DEFAULT '{}',
  error_message   text,
  error_sqlstate  text,
  error_file      text,
  error_line      int,
  error_hint      text,
  host            text NOT NULL,
  backend_pid     int NOT NULL,
  bbmd_version    text,
  who             text NOT NULL DEFAULT session_user,
  started_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at     timestamptz,
  CONSTRAINT runs_that_are_over_have_an_end CHECK ((outcome = 'running') = (finished_at IS NULL))
);
COMMENT ON TABLE bbm.runs IS 'One row per run that changed this database''s schema, or tried to: from before its first change to its end.';
COMMENT ON COLUMN bbm.runs.outcome IS 'interrupted: the process or its session ended without saying so; the next run found that out.';
COMMENT ON COLUMN bbm.runs.to_versions IS 'The versions it was to lead to; once it is finished, those that it led to.';
COMMENT ON COLUMN bbm.runs.reason IS 'Why it was started, where somebody said so.';
COMMENT ON COLUMN bbm.runs.log IS 'What it and the programs it ran had to say: the end of it, where that is long.';
COMMENT ON COLUMN bbm.runs.indexes IS 'The indexes that were there before it began, and so are none that it left behind half done.';
COMMENT ON COLUMN bbm.runs.backend_pid IS 'The session that held the advisory lock (7704, 0) during the run.';

CREATE TABLE bbm.run_steps (
  run_id        bigint NOT NULL REFERENCES bbm.runs ON DELETE CASCADE,
  ordinal       int NOT NULL,
  does          text NOT NULL,
  version       text,
  name          text,
  file          text,
  transactional boolean NOT NULL DEFAULT true,
  attempts      int NOT NULL DEFAULT 1,
  started_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at   timestamptz,
  PRIMARY KEY (run_id, ordinal)
);
COMMENT ON TABLE bbm.run_steps IS 'What a run did, in order. A step without finished_at is one that failed, was interrupted, or runs.';
COMMENT ON COLUMN bbm.run_steps.attempts IS 'How often it was started: again when it did not get a lock in time.';

-- No migration tool that we run remembers what its files were.
CREATE TABLE bbm.applied (
  tool        text NOT NULL,
  version     text NOT NULL,
  file        text NOT NULL,
  checksum    text NOT NULL,
  run_id      bigint,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tool, version)
);
COMMENT ON TABLE bbm.applied IS 'Checksums of schema migrations that are applied. A file that was edited afterwards is refused; delete its row to accept it as it is.';
COMMENT ON COLUMN bbm.applied.checksum IS 'sha256 of the file, in hex.';
COMMENT ON COLUMN bbm.applied.run_id IS 'The run that applied it; NULL: it was applied by others, and this is what the file was when bbmd first saw it.';

CREATE TABLE bbm.settings (
  name   text PRIMARY KEY,
  value  jsonb NOT NULL,
  note   text,
  who    text NOT NULL DEFAULT session_user,
  set_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE bbm.settings IS 'What is said about this database in the database itself, so that it holds for every replica and every configuration.';

CREATE TABLE bbm.force_recreate_tokens (
  token       text PRIMARY KEY,
  run_id      bigint,
  host        text NOT NULL,
  consumed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE bbm.force_recreate_tokens IS 'Values of force_recreate that were acted upon: the same one does nothing again.';

-- A run that begins or ends is news for whoever waits for the schema.
CREATE TRIGGER notify_run AFTER INSERT ON bbm.runs
  FOR EACH STATEMENT EXECUTE FUNCTION bbm.notify_change('bbm_status');
CREATE TRIGGER notify_run_end AFTER UPDATE ON bbm.runs
  FOR EACH ROW WHEN (OLD.outcome IS DISTINCT FROM NEW.outcome) EXECUTE FUNCTION bbm.notify_change('bbm_status');

CREATE FUNCTION bbm.mark_production(note text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
  INSERT INTO bbm.settings AS s (name, value, note) VALUES ('production', 'true', mark_production.note)
  ON CONFLICT (name) DO UPDATE SET value = 'true', note = coalesce(excluded.note, s.note), who = session_user, set_at = clock_timestamp()
$$;
COMMENT ON FUNCTION bbm.mark_production(text) IS 'Marks this database as production: bbmd never drops and recreates it, whatever its configuration says.';

CREATE FUNCTION bbm.unmark_production() RETURNS void LANGUAGE sql AS $$
  DELETE FROM bbm.settings WHERE name = 'production'
$$;
COMMENT ON FUNCTION bbm.unmark_production() IS 'Takes the mark of bbm.mark_production() away: in development mode the database may be recreated again.';
