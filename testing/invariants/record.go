package invariants

import (
	"context"
	"fmt"
	"testing"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// Record makes a database write down, from now on, every change of a job that
// means anything, in the transaction that makes it, in invariants.job_events.
// [Check] judges them. Call it before the first job is claimed.
func Record(tb testing.TB, db *pgtest.Database) {
	tb.Helper()
	db.Exec(tb, recordSQL)
}

// lock_mode is how the session that makes a running job not running holds the
// owner's lock: the owner itself shares it, whoever takes over from a dead one
// has it exclusively.
const recordSQL = `
CREATE SCHEMA invariants;
CREATE TABLE invariants.job_events (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at             timestamptz NOT NULL DEFAULT clock_timestamp(),
  migration      int NOT NULL,
  job            bigint NOT NULL,
  old_status     text,
  new_status     text NOT NULL,
  old_owner      int,
  new_owner      int,
  old_attempts   int,
  new_attempts   int NOT NULL,
  old_crashes    int,
  new_crashes    int NOT NULL,
  old_transients int,
  new_transients int NOT NULL,
  old_careful    boolean,
  new_careful    boolean NOT NULL,
  old_after      text,
  new_after      text,
  error_sqlstate text,
  error_message  text,
  lock_mode      text
);
CREATE INDEX ON invariants.job_events (job, id);
CREATE FUNCTION invariants.record_job() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  holds text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO invariants.job_events (migration, job, new_status, new_owner, new_attempts, new_crashes, new_transients, new_careful, new_after)
    VALUES (NEW.batched_background_migration_id, NEW.id, NEW.status, NEW.owner, NEW.attempts, NEW.crashes, NEW.transients, NEW.careful, NEW.after_value);
    RETURN NULL;
  END IF;
  IF OLD.status = 'running' AND NEW.status IN ('pending', 'failed') THEN
    SELECT string_agg(mode, ', ' ORDER BY mode) INTO holds FROM pg_catalog.pg_locks
    WHERE locktype = 'advisory' AND classid = 7701 AND objid = OLD.owner::oid AND objsubid = 2 AND granted AND pid = pg_backend_pid()
      AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database());
  END IF;
  INSERT INTO invariants.job_events (migration, job, old_status, new_status, old_owner, new_owner, old_attempts, new_attempts,
    old_crashes, new_crashes, old_transients, new_transients, old_careful, new_careful, old_after, new_after, error_sqlstate, error_message, lock_mode)
  VALUES (NEW.batched_background_migration_id, NEW.id, OLD.status, NEW.status, OLD.owner, NEW.owner, OLD.attempts, NEW.attempts,
    OLD.crashes, NEW.crashes, OLD.transients, NEW.transients, OLD.careful, NEW.careful, OLD.after_value, NEW.after_value,
    NEW.error_sqlstate, NEW.error_message, holds);
  RETURN NULL;
END
$$;
CREATE TRIGGER record_insert AFTER INSERT ON bbm.batched_background_migration_jobs
  FOR EACH ROW EXECUTE FUNCTION invariants.record_job();
CREATE TRIGGER record_update AFTER UPDATE ON bbm.batched_background_migration_jobs
  FOR EACH ROW WHEN ((OLD.status, OLD.owner, OLD.attempts, OLD.crashes, OLD.transients, OLD.after_value, OLD.error_message)
    IS DISTINCT FROM (NEW.status, NEW.owner, NEW.attempts, NEW.crashes, NEW.transients, NEW.after_value, NEW.error_message))
  EXECUTE FUNCTION invariants.record_job();`

func isRecorded(ctx context.Context, db Querier) (bool, error) {
	var recorded bool
	if err := db.QueryRow(ctx, "SELECT to_regclass('invariants.job_events') IS NOT NULL").Scan(&recorded); err != nil {
		return false, fmt.Errorf("look for records: %w", err)
	}
	return recorded, nil
}

// recordRules demand that every change of a job was legitimate.
func recordRules() []rule {
	const (
		once     = "I1 (exactly once)"
		attempts = "I3 (attempts count)"
		takeover = "take-over"
		events   = " FROM invariants.job_events e WHERE migration = $1 AND "
	)
	return []rule{
		{once, `SELECT format('job %s left finished to be %s (event %s)', job, new_status, id)` + events + `old_status = 'finished' AND new_status <> 'finished'`},
		{once, `SELECT format('job %s was finished %s times', job, count(*))` + events + `new_status = 'finished' AND old_status <> 'finished' GROUP BY job HAVING count(*) > 1`},
		{once, `SELECT format('job %s became finished from %s (event %s)', job, old_status, id)` + events + `new_status = 'finished' AND old_status NOT IN ('running', 'finished')`},
		{attempts, `SELECT format('job %s was started again and its attempts went from %s to %s (event %s)', job, old_attempts, new_attempts, id)` + events +
			`new_status = 'running' AND old_status = 'pending' AND NOT (new_careful AND new_attempts = old_attempts + 1)`},
		{attempts, `SELECT format('job %s: crashes went from %s to %s, from %s (careful: %s) to %s, under the lock %s (event %s)',
			job, old_crashes, new_crashes, old_status, old_careful, new_status, coalesce(lock_mode, 'of nobody'), id)` + events +
			`new_crashes > old_crashes AND (new_crashes = old_crashes + 1 AND old_status = 'running' AND old_careful AND new_status = 'pending' AND lock_mode LIKE '%Exclusive%') IS NOT TRUE`},
		{attempts, `SELECT format('job %s is finished after %s attempts instead of %s (event %s)', job, new_attempts, greatest(old_attempts, 1), id)` + events +
			`new_status = 'finished' AND old_status = 'running' AND new_attempts <> greatest(old_attempts, 1)`},
		{takeover, `SELECT format('job %s was taken over and its attempts went from %s to %s (event %s)', job, old_attempts, new_attempts, id)` + events +
			`lock_mode LIKE '%Exclusive%' AND new_attempts <> old_attempts`},
		{takeover, `SELECT format('job %s changed its owner from %s to %s while it was running (event %s)', job, old_owner, new_owner, id)` + events +
			`old_status = 'running' AND new_status = 'running' AND old_owner <> new_owner`},
	}
}
