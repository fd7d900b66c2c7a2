package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Middle is where a job's range can be split.
type Middle struct {
	Rows int64   // in the range now
	Only *string // the key of the only row; nil unless Rows is 1
	Mid  *string // the last key of the lower half; nil unless Rows is above 1
	Next *string // the first key of the upper half; nil unless Rows is above 1
}

const splitSQL = `
WITH old AS (
  SELECT id, batched_background_migration_id AS m, after_value, min_value, error_message, error_sqlstate
  FROM bbm.batched_background_migration_jobs WHERE id = $1 AND owner = $2 AND status = 'running' FOR UPDATE
), upper AS (
  UPDATE bbm.batched_background_migration_jobs j
  SET after_value = $3, min_value = $4, status = 'pending', owner = NULL, attempts = $5, crashes = 0, transients = 0, careful = false, started_at = NULL,
    batch_size = greatest($8::bigint - $8 / 2, 1)::int, error_message = $6, error_sqlstate = nullif($7, ''), next_attempt_at = clock_timestamp()
  FROM old WHERE j.id = old.id
)
INSERT INTO bbm.batched_background_migration_jobs
  (batched_background_migration_id, ordinal, after_value, min_value, max_value, batch_size, status, attempts, error_message, error_sqlstate, started_at)
SELECT m, NULL, after_value, min_value, $3, greatest($8 / 2, 1)::int, 'pending', $5, $6, nullif($7, ''), NULL FROM old
RETURNING id`

// Split cuts an owner's running job in two at its middle. The row keeps the upper half, with its
// ordinal and its end, so that the chain's tail never moves; the lower half is a
// new row without an ordinal. Each half counts attempts failures already, and has the error of the whole until it is
// tried itself (see [JobState.Untried]). It returns the new row's id, 0
// when the job is not the owner's any more.
func (s Store) Split(ctx context.Context, db DB, job int64, epoch int32, m Middle, attempts int32, f Failure) (lower int64, err error) {
	err = db.QueryRow(ctx, s.sql(splitSQL), job, epoch, m.Mid, m.Next, attempts, f.Message, f.SQLState, m.Rows).Scan(&lower)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("split job %d: %w", job, err)
	}
	return lower, nil
}

const quarantineSQL = `
WITH fenced AS (
  UPDATE bbm.batched_background_migration_jobs j
  SET status = 'finished', owner = NULL, careful = false, attempts = greatest(attempts, 1), rows_affected = 0, finished_at = clock_timestamp(),
    error_message = $4, error_sqlstate = nullif($5, '')
  WHERE id = $1 AND owner = $2 AND status = 'running' AND (
    SELECT count(*) FROM bbm.quarantine WHERE batched_background_migration_id = j.batched_background_migration_id) < (
    SELECT max_quarantined FROM bbm.batched_background_migrations WHERE id = j.batched_background_migration_id)
  RETURNING id, batched_background_migration_id, attempts)
INSERT INTO bbm.quarantine (batched_background_migration_id, batched_background_migration_job_id, key, attempts, error_message, error_sqlstate)
SELECT batched_background_migration_id, id, $3, attempts, $4, nullif($5, '') FROM fenced`

// Quarantine sets the only row of an owner's job aside, with its key and error,
// and reports whether the migration had room for it. The job counts as
// finished: the chain goes on without the row.
func (s Store) Quarantine(ctx context.Context, db TxDB, migration int32, job int64, epoch int32, key string, f Failure) (bool, error) {
	var done bool
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		// Workers queue, as they do to claim, so that they cannot overfill it together.
		if _, err := tx.Exec(ctx, "SELECT set_config('synchronous_commit', 'on', true), pg_advisory_xact_lock(7702, $1)", migration); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, s.sql(quarantineSQL), job, epoch, key, f.Message, f.SQLState)
		done = tag.RowsAffected() == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("set the row of job %d aside: %w", job, err)
	}
	return done, nil
}
