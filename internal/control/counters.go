package control

import (
	"context"
	"errors"
	"fmt"
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

const countSQL = `
WITH counted AS (
  INSERT INTO bbm.counters AS c (batched_background_migration_id, owner, batches, keys, rows, batch_size, p90_ms, batch_size_reason, throttled)
  SELECT $1::int, $2::int, $3::bigint, $4::bigint, $5::bigint, $10::int, nullif($11::real, 0), $12::text, nullif($13::text, '')
  FROM bbm.batched_background_migrations WHERE id = $1::int AND status <> 'finished'
  ON CONFLICT (batched_background_migration_id, owner) DO UPDATE
  SET batches = c.batches + excluded.batches, keys = c.keys + excluded.keys, rows = c.rows + excluded.rows,
    batch_size = excluded.batch_size, p90_ms = excluded.p90_ms, batch_size_reason = excluded.batch_size_reason,
    throttled = excluded.throttled, updated_at = clock_timestamp()
  RETURNING 1
), late AS (
  UPDATE bbm.batched_background_migrations
  SET batches_done = batches_done + $3::bigint, keys_done = keys_done + $4::bigint, rows_done = rows_done + $5::bigint
  WHERE id = $1::int AND NOT EXISTS (SELECT FROM counted)
), described AS (
  UPDATE bbm.batched_background_migration_jobs j SET rows_affected = v.rows, duration_ms = v.ms
  FROM unnest($6::bigint[], $7::bigint[], $8::real[]) v(id, rows, ms) WHERE j.id = v.id
)
SELECT p.percent::float8 FROM bbm.progress p, set_config('synchronous_commit', 'off', true), pg_notify('bbm_progress', $9)
WHERE p.id = $1::int`

// Count adds an owner's tally to its counters and raises bbm_progress with the
// migration's name, for people watching. It is called at most once a second per owner, outside
// the batches; what a crash keeps from being counted stays uncounted. It returns how far the
// migration was before, in percent; nil: not known.
func (s Store) Count(ctx context.Context, db DB, migration, owner int32, name string, t Tally) (percent *float64, err error) {
	ids, rows, ms := make([]int64, len(t.Jobs)), make([]int64, len(t.Jobs)), make([]float32, len(t.Jobs))
	for i, j := range t.Jobs {
		ids[i], rows[i], ms[i] = j.ID, j.Rows, j.Milliseconds
	}
	// The payload of a notification is limited to 7,999 bytes; a name has at most 200 characters.
	err = db.QueryRow(ctx, s.sql(countSQL), migration, owner, t.Batches, t.Keys, t.Rows, ids, rows, ms, name,
		t.BatchSize, float32(t.P90.Seconds()*1000), t.Reason, t.Throttled).Scan(&percent)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("count progress: %w", err)
	}
	return percent, nil
}
