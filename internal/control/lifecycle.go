package control

import (
	"context"
	"fmt"
)

// The codes of failure_error_code, as the GitLab container registry has them.
const (
	CodeUnknown     = 0
	CodeTable       = 1
	CodeKey         = 2
	CodeWork        = 3
	CodeMaxAttempts = 4
)

// Target is what is recorded of a migration's table and Work when it starts.
type Target struct {
	Table       string // schema-qualified and quoted
	OID         uint32
	KeyColumns  []string
	KeyTypes    []string
	Collation   string // collation versions of the key's columns, to compare later
	WorkVersion int
	WorkDigest  string  // empty: the Work is compiled in
	Tuples      int64   // rows in the range, estimated; negative: not known
	MinValue    *string // first key, rendered; nil with the strategy "null"
	MaxValue    *string // last key, rendered; nil with the strategy "null"
	Verify      bool    // the Work can verify a range
}

const startSQL = `
UPDATE bbm.batched_background_migrations
SET status = 'running', table_name = $2, table_oid = $3, key_columns = $4, key_types = $5, key_collation = $6, work_version = $7,
  total_tuple_count = CASE WHEN $8::bigint >= 0 THEN $8::bigint END, min_value = $9, max_value = $10, verify = $11, work_digest = nullif($12, ''), started_at = clock_timestamp()
WHERE id = $1 AND status = 'active' AND table_oid IS NULL`

// Start makes an active migration running, and fixes its table, key, Work and
// range. It reports false when the migration is not there to start any more. A
// unique violation means that another migration runs on the table.
func (s Store) Start(ctx context.Context, db DB, migration int32, t Target) (bool, error) {
	tag, err := db.Exec(ctx, s.sql(startSQL), migration, t.Table, t.OID, t.KeyColumns, t.KeyTypes, t.Collation, t.WorkVersion, t.Tuples, t.MinValue, t.MaxValue, t.Verify, t.WorkDigest)
	if err != nil {
		return false, fmt.Errorf("start migration %d: %w", migration, err)
	}
	return tag.RowsAffected() == 1, nil
}

// GoOn makes an active migration that has started before running again. It
// reports false when the migration is not active any more. A unique violation
// means that another migration runs on the table.
func (s Store) GoOn(ctx context.Context, db DB, migration int32) (bool, error) {
	tag, err := db.Exec(ctx, s.sql("UPDATE bbm.batched_background_migrations SET status = 'running' WHERE id = $1 AND status = 'active' AND table_oid IS NOT NULL"), migration)
	if err != nil {
		return false, fmt.Errorf("resume migration %d: %w", migration, err)
	}
	return tag.RowsAffected() == 1, nil
}

// FinishEmpty finishes an active migration whose range holds no row.
func (s Store) FinishEmpty(ctx context.Context, db DB, migration int32) (bool, error) {
	tag, err := db.Exec(ctx, s.sql(`UPDATE bbm.batched_background_migrations
		SET status = 'finished', status_reason = 'there were no rows in its range', started_at = clock_timestamp()
		WHERE id = $1 AND status = 'active'`), migration)
	if err != nil {
		return false, fmt.Errorf("finish migration %d: %w", migration, err)
	}
	return tag.RowsAffected() == 1, nil
}

// The counters are summed as they are deleted, so that what a worker counts at
// the same time is not lost.
const finishSQL = `
WITH ready AS (
  SELECT id FROM bbm.batched_background_migrations m
  WHERE id = $1 AND status = 'running'
    AND NOT EXISTS (SELECT FROM ` + openJobs + ` j)
    AND max_value IS NOT DISTINCT FROM (SELECT max_value FROM bbm.batched_background_migration_jobs
      WHERE batched_background_migration_id = m.id AND ordinal IS NOT NULL ORDER BY ordinal DESC LIMIT 1)
  FOR UPDATE
), folded AS (
  DELETE FROM bbm.counters c USING ready WHERE c.batched_background_migration_id = ready.id RETURNING c.batches, c.keys, c.rows
), counted AS (
  SELECT coalesce(sum(batches), 0)::bigint AS batches, coalesce(sum(keys), 0)::bigint AS keys, coalesce(sum(rows), 0)::bigint AS rows FROM folded
), done AS (
  UPDATE bbm.batched_background_migrations m
  SET status = 'finished', rows_done = rows_done + counted.rows, keys_done = keys_done + counted.keys, batches_done = batches_done + counted.batches
  FROM ready, counted WHERE m.id = ready.id
  RETURNING m.id
)
SELECT EXISTS (SELECT FROM done)`

// Finish makes a running migration finished if every job of its chain is, and
// folds its counters. Once true that condition stays true, so that the two last finishers
// may both try. It reports whether this call did it.
func (s Store) Finish(ctx context.Context, db DB, migration int32) (bool, error) {
	var finished bool
	if err := db.QueryRow(ctx, s.sql(finishSQL), migration).Scan(&finished); err != nil {
		return false, fmt.Errorf("finish migration %d: %w", migration, err)
	}
	return finished, nil
}

// Reason is why a migration has failed.
type Reason struct {
	Job      int64 // the job that failed it, or 0
	Code     int   // one of the Code constants
	Message  string
	SQLState string // empty: the error did not come from PostgreSQL
}

const failSQL = `
WITH failed AS (
  UPDATE bbm.batched_background_migrations
  SET status = 'failed', status_reason = $3, failure_error_code = $2, error_message = $3, error_sqlstate = nullif($4, '')
  WHERE id = $1 AND status IN ('active', 'running')
  RETURNING id
), job AS (
  UPDATE bbm.batched_background_migration_jobs j SET status = 'failed', owner = NULL, careful = false
  FROM failed WHERE j.id = $5 AND j.batched_background_migration_id = failed.id AND j.status IN ('pending', 'running')
)
SELECT EXISTS (SELECT FROM failed)`

// Fail makes a migration failed, for a reason that people read, and the job that failed it along with
// it: that one is not tried again until somebody retries the migration. It changes nothing and reports false when the
// migration was not active or running any more.
func (s Store) Fail(ctx context.Context, db DB, migration int32, r Reason) (bool, error) {
	var failed bool
	if err := db.QueryRow(ctx, s.sql(failSQL), migration, r.Code, r.Message, r.SQLState, r.Job).Scan(&failed); err != nil {
		return false, fmt.Errorf("record the failure of migration %d: %w", migration, err)
	}
	return failed, nil
}

// SetReason writes why a migration does not move, empty: it does, and raises
// bbm_progress for people watching. It writes nothing when that is what the row says already.
func (s Store) SetReason(ctx context.Context, db DB, migration int32, reason string) error {
	_, err := db.Exec(ctx, s.sql(`WITH changed AS (
		UPDATE bbm.batched_background_migrations SET status_reason = nullif($2, '')
		WHERE id = $1 AND status IN ('active', 'running') AND status_reason IS DISTINCT FROM nullif($2, '')
		RETURNING name)
		SELECT pg_notify('bbm_progress', name) FROM changed`), migration, reason)
	if err != nil {
		return fmt.Errorf("record why migration %d waits: %w", migration, err)
	}
	return nil
}

// Hold makes a running migration active again, because it may not run for some
// time: others may have its table meanwhile.
func (s Store) Hold(ctx context.Context, db DB, migration int32, reason string) error {
	_, err := db.Exec(ctx, s.sql("UPDATE bbm.batched_background_migrations SET status = 'active', status_reason = $2 WHERE id = $1 AND status IN ('active', 'running')"), migration, reason)
	if err != nil {
		return fmt.Errorf("hold migration %d: %w", migration, err)
	}
	return nil
}

// Those who follow the write-ahead log hear a message in it.
const wakeSQL = `SELECT pg_notify('bbm_status', ''),
	CASE current_setting('wal_level') WHEN 'logical' THEN pg_logical_emit_message(true, 'bbm_status', '') END`

// Wake raises bbm_status, so that every executor looks.
func (s Store) Wake(ctx context.Context, db DB) error {
	if _, err := db.Exec(ctx, wakeSQL); err != nil {
		return fmt.Errorf("wake the executors: %w", err)
	}
	return nil
}
