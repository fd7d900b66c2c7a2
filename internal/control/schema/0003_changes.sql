-- The audit of what is no change of status: bbm.transitions has those.

CREATE TABLE bbm.changes (
  id                              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  batched_background_migration_id int NOT NULL,
  name                            text NOT NULL,
  what                            text NOT NULL,
  from_value                      text,
  to_value                        text,
  who                             text NOT NULL DEFAULT session_user,
  application                     text NOT NULL DEFAULT current_setting('application_name'),
  at                              timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON bbm.changes (batched_background_migration_id, id);
COMMENT ON TABLE bbm.changes IS 'Audit: every change of a migration''s settings, from what to what, and by whom; and what else people asked for.';
COMMENT ON COLUMN bbm.changes.what IS 'A column of bbm.batched_background_migrations, or finalize: somebody asked for the rest to be run without throttle.';

-- It is its owner's right to write here, so that whoever may change a migration need not be given it.
CREATE FUNCTION bbm.record_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO bbm.changes (batched_background_migration_id, name, what, from_value, to_value)
  SELECT NEW.id, NEW.name, o.key, o.value, n.value
  FROM jsonb_each_text(to_jsonb(OLD)) o JOIN jsonb_each_text(to_jsonb(NEW)) n ON n.key = o.key
  WHERE o.value IS DISTINCT FROM n.value AND o.key IN ('batch_size', 'min_batch_size', 'max_batch_size', 'target_duration', 'pause',
    'throttle', 'parallelism', 'priority', 'depends_on', 'max_attempts', 'max_quarantined')
  ORDER BY o.key;
  RETURN NULL;
END
$$;

CREATE TRIGGER record_change AFTER UPDATE ON bbm.batched_background_migrations
  FOR EACH ROW WHEN ((OLD.batch_size, OLD.min_batch_size, OLD.max_batch_size, OLD.target_duration, OLD.pause, OLD.throttle,
      OLD.parallelism, OLD.priority, OLD.depends_on, OLD.max_attempts, OLD.max_quarantined) IS DISTINCT FROM
    (NEW.batch_size, NEW.min_batch_size, NEW.max_batch_size, NEW.target_duration, NEW.pause, NEW.throttle,
      NEW.parallelism, NEW.priority, NEW.depends_on, NEW.max_attempts, NEW.max_quarantined))
  EXECUTE FUNCTION bbm.record_change();
