package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Tally is what an owner has done for a migration since it was last counted.
type Tally struct {
	Batches, Keys, Rows int64
	Jobs                []JobTally // the finished jobs among them, to be described

	BatchSize int32         // as it is now
	P90       time.Duration // of the last batches of that size; 0: not known yet
	Reason    string        // why the size is what it is
	Throttled string        // why batches are kept back; empty: they are not
}

// JobTally describes one finished job.
type JobTally struct {
	ID           int64
	Rows         int64
	Milliseconds float32
}

// windowLength is how long keys are counted together, for the speed of late; it is told by the
// last such window and the one under way. A window that begins in the future was begun before the
// server's clock was set back: it counts no longer.
const windowLength = "15 seconds"

// A migration's percent is computed as it is counted, and never falls: not when the estimate of its rows
// grows, nor when a range is queued again. When the chain of jobs is complete there is nothing left to estimate:
// the total is what was passed, and what the open jobs have.
//
// The mark running_from is where [openJobs] begins: the first job that is running as it was claimed, or else what comes
// behind the chain. Claims queue, so that a claim under way, which is not seen yet, takes greater ids than those that are; and
// a batch which this statement sees finished is in the log before the mark, so that no crash keeps one without the other.
// The counters are read once: beside an old snapshot the versions of their rows are what grows.
const countSQL = `
WITH counters AS (
  SELECT coalesce(sum(keys), 0)::bigint AS keys, coalesce(max(running_from), 0) AS running_from, count(*) AS rows
  FROM bbm.counters WHERE batched_background_migration_id = $1::int
), migration AS (
  SELECT m.id, m.keys_done + $4::bigint + (SELECT keys FROM counters) AS keys,
    CASE WHEN m.max_value = tail.max_value THEN (SELECT coalesce(sum(batch_size), 0)::bigint FROM ` + openJobs + ` j) END AS rest, m.total_tuple_count,
    coalesce(running.id, tail.id + 1, 0) AS running_from
  FROM bbm.batched_background_migrations m
  LEFT JOIN LATERAL (
    SELECT id, max_value FROM bbm.batched_background_migration_jobs
    WHERE batched_background_migration_id = m.id AND ordinal IS NOT NULL ORDER BY ordinal DESC LIMIT 1) tail ON true
  LEFT JOIN LATERAL (
    SELECT id FROM bbm.batched_background_migration_jobs
    WHERE batched_background_migration_id = m.id AND status = 'running' AND NOT careful
      AND id >= (SELECT running_from FROM counters) ORDER BY id LIMIT 1) running ON true
  WHERE m.id = $1::int AND m.status <> 'finished'
), total AS (
  SELECT id, keys, coalesce(keys + rest, total_tuple_count) AS rows, total_tuple_count, running_from FROM migration
), complete AS (
  UPDATE bbm.batched_background_migrations m SET total_tuple_count = total.rows
  FROM total WHERE m.id = total.id AND m.status = 'running' AND total.rows IS DISTINCT FROM total.total_tuple_count
  RETURNING 1
), counted AS (
  INSERT INTO bbm.counters AS c (batched_background_migration_id, owner, batches, keys, rows, batch_size, p90_ms, batch_size_reason, throttled, running_from, percent)
  SELECT id, $2::int, $3::bigint, $4::bigint, $5::bigint, $10::int, nullif($11::real, 0), $12::text, nullif($13::text, ''), total.running_from,
    CASE WHEN total.rows > 0 THEN least(100.0 * keys / total.rows, 99.9) END
  FROM total, (SELECT count(*) FROM complete) first -- the migration's row, then counters, as when it finishes
  WHERE true ON CONFLICT (batched_background_migration_id, owner) DO UPDATE
  SET batches = c.batches + excluded.batches, keys = c.keys + excluded.keys, rows = c.rows + excluded.rows,
    batch_size = excluded.batch_size, p90_ms = excluded.p90_ms, batch_size_reason = excluded.batch_size_reason,
    throttled = excluded.throttled, running_from = greatest(c.running_from, excluded.running_from), percent = greatest(c.percent, excluded.percent), updated_at = excluded.updated_at,
    earlier_start = CASE WHEN excluded.updated_at < c.window_start THEN NULL WHEN excluded.updated_at < c.window_start + interval '@window@' THEN c.earlier_start ELSE c.window_start END,
    earlier_keys = CASE WHEN excluded.updated_at < c.window_start THEN 0 WHEN excluded.updated_at < c.window_start + interval '@window@' THEN c.earlier_keys ELSE c.window_keys + excluded.keys END,
    window_keys = CASE WHEN excluded.updated_at < c.window_start THEN 0 WHEN excluded.updated_at < c.window_start + interval '@window@' THEN c.window_keys + excluded.keys ELSE 0 END,
    window_start = CASE WHEN excluded.updated_at BETWEEN c.window_start AND c.window_start + interval '@window@' THEN c.window_start ELSE excluded.updated_at END
  RETURNING percent
), late AS (
  UPDATE bbm.batched_background_migrations
  SET batches_done = batches_done + $3::bigint, keys_done = keys_done + $4::bigint, rows_done = rows_done + $5::bigint
  WHERE id = $1::int AND NOT EXISTS (SELECT FROM counted)
), described AS (
  UPDATE bbm.batched_background_migration_jobs j SET rows_affected = v.rows, duration_ms = v.ms
  FROM unnest($6::bigint[], $7::bigint[], $8::real[]) v(id, rows, ms) WHERE j.id = v.id
)
SELECT CASE m.status WHEN 'finished' THEN 100 ELSE (SELECT percent FROM counted) END::float8,
  (SELECT rows FROM counters)
FROM bbm.batched_background_migrations m, set_config('synchronous_commit', 'off', true), pg_notify('bbm_progress', $9)
WHERE m.id = $1::int`

// mostCounters is how many rows of counters a migration may have before those of workers
// that are gone are folded into its row: every session has one.
const mostCounters = 100

// The migration's row is locked first, as when it finishes. What a worker that was only slow counts
// afterwards begins a new row.
const foldSQL = `
WITH migration AS (
  SELECT id FROM bbm.batched_background_migrations WHERE id = $1::int FOR UPDATE
), folded AS (
  DELETE FROM bbm.counters c USING migration
  WHERE c.batched_background_migration_id = migration.id AND c.owner <> $2::int AND c.updated_at < clock_timestamp() - interval '5 minutes'
  RETURNING c.batches, c.keys, c.rows, c.percent
), sums AS (
  SELECT sum(batches)::bigint AS batches, sum(keys)::bigint AS keys, sum(rows)::bigint AS rows, max(percent) AS percent FROM folded
), kept AS (
  UPDATE bbm.counters c SET percent = greatest(c.percent, sums.percent) FROM sums
  WHERE c.batched_background_migration_id = $1::int AND c.owner = $2::int
)
UPDATE bbm.batched_background_migrations m
SET batches_done = m.batches_done + sums.batches, keys_done = m.keys_done + sums.keys, rows_done = m.rows_done + sums.rows
FROM migration, sums WHERE m.id = migration.id AND sums.keys IS NOT NULL`

// Count adds an owner's tally to its counters and raises bbm_progress with the
// migration's name, for people watching. It is called at most once a second per owner, outside
// the batches; what a crash keeps from being counted stays uncounted. It returns how far the
// migration is, in percent; nil: not known.
func (s Store) Count(ctx context.Context, db DB, migration, owner int32, name string, t Tally) (percent *float64, err error) {
	ids, rows, ms := make([]int64, len(t.Jobs)), make([]int64, len(t.Jobs)), make([]float32, len(t.Jobs))
	for i, j := range t.Jobs {
		ids[i], rows[i], ms[i] = j.ID, j.Rows, j.Milliseconds
	}
	var counters int
	// The payload of a notification is limited to 7,999 bytes; a name has at most 200 characters.
	err = db.QueryRow(ctx, strings.ReplaceAll(s.sql(countSQL), "@window@", windowLength), migration, owner, t.Batches, t.Keys, t.Rows, ids, rows, ms, name,
		t.BatchSize, float32(t.P90.Seconds()*1000), t.Reason, t.Throttled).Scan(&percent, &counters)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("count progress: %w", err)
	}
	if counters <= mostCounters {
		return percent, nil
	}
	if _, err := db.Exec(ctx, s.sql(foldSQL), migration, owner); err != nil {
		return percent, fmt.Errorf("fold counters: %w", err)
	}
	return percent, nil
}
