package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Span is a stretch of a migration's chain, from one end of a job to another.
type Span struct {
	To    int64   // ordinal of the last job
	After *string // end of the job before the first; nil: from the migration's smallest key
	End   string
}

const nextSpanSQL = `
WITH ahead AS (
  SELECT ordinal, max_value, batch_size, sum(batch_size) OVER (ORDER BY ordinal) AS keys
  FROM (SELECT ordinal, max_value, batch_size FROM bbm.batched_background_migration_jobs
    WHERE batched_background_migration_id = $1 AND ordinal > $2 ORDER BY ordinal LIMIT 100) a
)
SELECT ordinal, (SELECT max_value FROM bbm.batched_background_migration_jobs WHERE batched_background_migration_id = $1 AND ordinal = $2), max_value
FROM ahead WHERE keys - batch_size < $3 ORDER BY ordinal DESC LIMIT 1`

// NextSpan returns the stretch of the chain behind an ordinal that holds about
// that many keys, at least one job and at most a hundred. Nil: the chain ends there.
func (s Store) NextSpan(ctx context.Context, conn *pgx.Conn, migration int32, after, keys int64) (*Span, error) {
	var span Span
	err := conn.QueryRow(ctx, s.sql(nextSpanSQL), migration, after, keys).Scan(&span.To, &span.After, &span.End)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // the end of the chain is no error
	}
	if err != nil {
		return nil, fmt.Errorf("find the next range to verify: %w", err)
	}
	return &span, nil
}

// SpanJobs returns the jobs that cover a stretch of the chain, the halves of
// split ones included. above and upTo are SQL conditions on max_value for $4 and $5, the
// stretch's bounds, rendered for the key's types.
func (s Store) SpanJobs(ctx context.Context, conn *pgx.Conn, migration int32, after int64, span Span, above, upTo string) ([]Job, error) {
	lower := "true"
	if span.After != nil {
		lower = above
	}
	rows, err := conn.Query(ctx, s.sql(`
		SELECT id, after_value, CASE WHEN after_value IS NULL THEN (SELECT min_value FROM bbm.batched_background_migrations WHERE id = $1) ELSE min_value END,
			max_value, batch_size, attempts, crashes, verifications
		FROM bbm.batched_background_migration_jobs
		WHERE batched_background_migration_id = $1 AND (ordinal > $2 AND ordinal <= $3
			OR ordinal IS NULL AND ($4::text IS NULL OR `+lower+`) AND `+upTo+`)`), migration, after, span.To, span.After, span.End)
	if err != nil {
		return nil, fmt.Errorf("look up the jobs of a range: %w", err)
	}
	jobs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Job, error) {
		var j Job
		err := row.Scan(&j.ID, &j.After, &j.First, &j.End, &j.BatchSize, &j.Attempts, &j.Crashes, &j.Verifications)
		return j, err
	})
	if err != nil {
		return nil, fmt.Errorf("look up the jobs of a range: %w", err)
	}
	return jobs, nil
}

// Verified records that the chain is verified up to an ordinal.
func (s Store) Verified(ctx context.Context, conn *pgx.Conn, migration int32, ordinal int64) error {
	_, err := conn.Exec(ctx, s.sql(`UPDATE bbm.batched_background_migrations SET verified_ordinal = greatest(verified_ordinal, $2)
		WHERE id = $1 AND status = 'running'`), migration, ordinal)
	if err != nil {
		return fmt.Errorf("record what is verified: %w", err)
	}
	return nil
}

const requeueSQL = `
WITH queued AS (
  UPDATE bbm.batched_background_migration_jobs
  SET status = 'pending', attempts = 0, crashes = 0, transients = 0, verifications = verifications + 1, error_message = $2,
    next_attempt_at = clock_timestamp(), finished_at = NULL
  WHERE id = $1 AND status = 'finished'
  RETURNING batched_background_migration_id AS migration, batch_size
)
UPDATE bbm.batched_background_migrations m SET keys_done = keys_done - queued.batch_size, batches_done = batches_done - 1
FROM queued WHERE m.id = queued.migration`

// Requeue makes a finished job pending again, because its range was found wrong. Its keys are
// counted again when it has finished.
func (s Store) Requeue(ctx context.Context, conn *pgx.Conn, job int64, message string) error {
	if _, err := conn.Exec(ctx, s.sql(requeueSQL), job, message); err != nil {
		return fmt.Errorf("queue job %d again: %w", job, err)
	}
	return nil
}
