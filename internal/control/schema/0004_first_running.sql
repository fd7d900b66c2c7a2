-- What is open is found without passing over what has finished, which the index of the open jobs
-- keeps for as long as some session holds an old snapshot.

ALTER TABLE bbm.counters ADD COLUMN running_from bigint NOT NULL DEFAULT 0;

COMMENT ON COLUMN bbm.counters.running_from IS
  'No job with a smaller id is running as it was first claimed; one that comes back is pending, and then claimed alone (careful).';

-- The jobs that the mark says nothing of, beside the pending ones: few at any time, and few that ever were.
CREATE INDEX apart_jobs ON bbm.batched_background_migration_jobs (batched_background_migration_id, id)
  WHERE status = 'failed' OR status = 'running' AND careful;
