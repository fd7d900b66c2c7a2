-- What a worker has left that died when its migration was paused, failed or was cancelled is found without a look at all
-- migrations that were ever stopped: whoever stops one marks it, in the same statement, and the mark goes with the last job that is running there.

ALTER TABLE bbm.batched_background_migrations ADD COLUMN unsettled boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN bbm.batched_background_migrations.unsettled IS
  'Set when it is paused, fails or is cancelled: jobs may still be running. Cleared by bbmd once none is, and nobody is left who could claim one.';

CREATE INDEX unsettled_migrations ON bbm.batched_background_migrations (id) WHERE unsettled;

-- Claims hold a lock on the table until they are committed: there is none that this does not see.
UPDATE bbm.batched_background_migrations m SET unsettled = true
WHERE status IN ('paused', 'failed', 'cancelled')
  AND EXISTS (SELECT FROM bbm.batched_background_migration_jobs WHERE batched_background_migration_id = m.id AND status = 'running');

CREATE FUNCTION bbm.note_unsettled() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- Before its start nobody has claimed anything; what is active or running is looked at anyway.
  NEW.unsettled := NEW.status IN ('paused', 'failed', 'cancelled') AND
    (OLD.unsettled OR OLD.status IN ('active', 'running') AND NEW.table_oid IS NOT NULL);
  RETURN NEW;
END
$$;

-- Also for a bbmd of before, which knows nothing of it.
CREATE TRIGGER note_unsettled BEFORE UPDATE ON bbm.batched_background_migrations
  FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION bbm.note_unsettled();
