package control

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Job is a range of keys that an owner has claimed.
type Job struct {
	ID        int64
	After     *string // exclusive lower bound; nil: First holds the migration's smallest key, inclusive
	First     *string // the first key in range, where the Work asks for it
	End       string  // inclusive upper bound
	BatchSize int32
	Attempts  int32 // starts so far, this one included when it was claimed alone
	Crashes   int32 // of these, how many ended with their worker's death
	Careful   bool  // claimed alone, its start committed beforehand

	Verifications int32 // how often its range was found wrong; only [Store.SpanJobs] says
}

// Lookups are the scalar subqueries on the migration's table that a block claim
// needs. They are rendered for the key's columns and types, and speak of the
// columns of w: lo and hi (bounds of the step before), first and stop (the
// migration's range), and of $3, the batch size.
type Lookups struct {
	FirstEnd string // the last key of a first batch: w.first inclusive
	NextEnd  string // the last key of a batch after w.hi, exclusive
	Start    string // the first key of the batch (w.lo, w.hi]; "NULL" where nobody asks
	Rest     string // how many keys the last batch has: (w.lo, w.hi], w.first inclusive where w.lo is NULL; empty: it is not counted
}

// ClaimLockSQL is the statement that goes before every claim, in the claim's own
// transaction and with a snapshot of its own. Parameters: migration, epoch. It
// queues the claimers of a migration, makes the claim durable, pins the plan of
// its look-ups to the key's index, and returns whether the owner's lock is still its own.
func (s Store) ClaimLockSQL() string {
	return "SELECT pg_try_advisory_lock_shared(7701, $2::int), pg_advisory_xact_lock(7702, $1::int), set_config('synchronous_commit', 'on', true)," +
		" set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)"
}

// ClaimSQL is the block claim: it cuts the next batches of the chain in one
// keyset walk and returns them as rows of (id, after_value, min_value,
// max_value, batch_size). Parameters: migration, epoch, batch size, number of batches.
// A conflict on the ordinal must abort it: never add ON CONFLICT.
func (s Store) ClaimSQL(l Lookups) string {
	if l.Rest == "" {
		l.Rest = "$3::int"
	}
	text := s.sql(`
WITH RECURSIVE mig AS (
  SELECT id, min_value, max_value FROM bbm.batched_background_migrations
  WHERE id = $1::int AND status = 'running' AND to_regclass(table_name)::oid = table_oid
), tail AS (
  SELECT coalesce(t.ordinal, 0) AS ordinal, t.max_value AS key FROM mig LEFT JOIN LATERAL (
    SELECT ordinal, max_value FROM bbm.batched_background_migration_jobs
    WHERE batched_background_migration_id = mig.id AND ordinal IS NOT NULL ORDER BY ordinal DESC LIMIT 1) t ON true
), walk AS (
  SELECT 0 AS k, NULL::text AS lo, tail.key AS hi, mig.min_value AS first, mig.max_value AS stop FROM tail, mig
  UNION ALL
  SELECT w.k + 1, w.hi, coalesce(CASE WHEN w.hi IS NULL THEN (@first_end@) ELSE (@next_end@) END, w.stop) COLLATE "default", w.first, w.stop
  FROM walk w WHERE w.k < $4::int AND w.hi IS DISTINCT FROM w.stop
)
INSERT INTO bbm.batched_background_migration_jobs
  (batched_background_migration_id, ordinal, after_value, min_value, max_value, batch_size, owner)
SELECT $1::int, tail.ordinal + w.k, w.lo, CASE WHEN w.lo IS NULL THEN w.first ELSE @start@ END, w.hi,
  CASE WHEN w.hi = w.stop THEN greatest((@rest@), 1)::int ELSE $3::int END, $2::int
FROM walk w, tail WHERE w.k > 0 ORDER BY w.k
RETURNING id, after_value, min_value, max_value, batch_size`)
	return strings.NewReplacer("@first_end@", l.FirstEnd, "@next_end@", l.NextEnd, "@start@", l.Start, "@rest@", l.Rest).Replace(text)
}

// StateSQL is what a worker asks with every claim, in the same transaction:
// (status, whether a pending job is due, and the knobs: batch_size,
// min_batch_size, max_batch_size, target_duration and pause in seconds, throttle). Parameter: migration.
func (s Store) StateSQL() string {
	return s.sql(`
SELECT m.status, EXISTS (
  SELECT FROM bbm.batched_background_migration_jobs
  WHERE batched_background_migration_id = m.id AND status = 'pending' AND ` + due + `),
  m.batch_size, m.min_batch_size, m.max_batch_size, extract(epoch FROM m.target_duration), extract(epoch FROM m.pause), m.throttle::text
FROM bbm.batched_background_migrations m WHERE m.id = $1::int`)
}

// due is true of a pending job that may be tried. None is set back by as much as five minutes: what
// is further ahead was written before the server's clock was set back.
const due = "(next_attempt_at <= clock_timestamp() OR next_attempt_at > clock_timestamp() + interval '5 minutes')"

// stillRunning says that a job's status is running, in words from which the planner
// does not conclude that the index of the open jobs would do. That index is small
// when a session prepares its statements and looks cheap; but it holds every job that was
// finished since the oldest snapshot in the database, and the fence would pass over them all.
const stillRunning = "status IS NOT DISTINCT FROM 'running'"

// stillThere is the condition that the key's index is the one that batches were
// cut along: when it was dropped, or built anew because the key's type or collation
// changed, their ends mean something else. With index 0 it always holds.
func stillThere(index uint32) string {
	if index == 0 {
		return ""
	}
	return fmt.Sprintf(" AND pg_catalog.pg_table_is_visible(%d) IS NOT NULL", index)
}

// FenceSQL makes a job finished if it is still its owner's and its migration
// neither cancelled nor moved to another table, and its key's index still there; otherwise it fails with 22012 (42P01 if the table is gone)
// and takes the transaction with it. It goes before the Work's one statement, in the
// same implicit transaction. It names the table, though it reads nothing there, so as to lock it before it compares
// its oid: else a table that is being renamed would be another one when the Work's turn comes.
// table is qualified and quoted, index the oid of the key's index. Parameters: job, epoch.
func (s Store) FenceSQL(table string, index uint32) string {
	return strings.ReplaceAll(s.sql(`
WITH fenced AS (
  UPDATE bbm.batched_background_migration_jobs j
  SET status = 'finished', owner = NULL, attempts = greatest(attempts, 1), finished_at = clock_timestamp()
  WHERE id = $1::bigint AND owner = $2::int AND `+stillRunning+` AND EXISTS (
    SELECT FROM bbm.batched_background_migrations m
    WHERE m.id = j.batched_background_migration_id AND m.status <> 'cancelled' AND to_regclass(m.table_name)::oid = m.table_oid)
    AND NOT EXISTS (SELECT FROM @table@ WHERE false)`+stillThere(index)+`
  RETURNING 1)
SELECT 1 / count(*) FROM fenced`), "@table@", table)
}

// TokenFenceSQL is the fence of a batch in an explicit transaction: it goes
// after the work, records what it did, and also demands the token that was set
// when the transaction began, so that a Work which ended the transaction itself
// is caught. index is the oid of the key's index, 0 without a key. Parameters: job, epoch, token, rows, milliseconds.
func (s Store) TokenFenceSQL(index uint32) string {
	return s.sql(`
WITH fenced AS (
  UPDATE bbm.batched_background_migration_jobs j
  SET status = 'finished', owner = NULL, attempts = greatest(attempts, 1), finished_at = clock_timestamp(),
    rows_affected = $4::bigint, duration_ms = $5::real
  WHERE id = $1::bigint AND owner = $2::int AND ` + stillRunning + ` AND current_setting('bbmd.batch', true) = $3::text AND EXISTS (
    SELECT FROM bbm.batched_background_migrations m
    WHERE m.id = j.batched_background_migration_id AND m.status <> 'cancelled' AND to_regclass(m.table_name)::oid = m.table_oid)` + stillThere(index) + `
  RETURNING 1)
SELECT 1 / count(*) FROM fenced`)
}

const carefulClaimSQL = `
UPDATE bbm.batched_background_migration_jobs
SET status = 'running', owner = $2, attempts = attempts + 1, careful = true, started_at = clock_timestamp()
WHERE id = (SELECT j.id FROM bbm.batched_background_migration_jobs j
    JOIN bbm.batched_background_migrations m ON m.id = j.batched_background_migration_id AND m.status = 'running'
  WHERE m.id = $1 AND j.status = 'pending' AND ` + due + ` ORDER BY j.id LIMIT 1 FOR UPDATE OF j SKIP LOCKED)
RETURNING id, after_value, CASE WHEN after_value IS NULL THEN (SELECT min_value FROM bbm.batched_background_migrations WHERE id = $1) ELSE min_value END, max_value, batch_size, attempts, crashes`

// ClaimCarefully claims one pending job that is due, alone, and commits its
// attempt before its work starts, so that a batch which kills its worker is
// counted. It returns nil when none is due.
func (s Store) ClaimCarefully(ctx context.Context, conn *pgx.Conn, migration, epoch int32) (*Job, error) {
	var job *Job
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL synchronous_commit = on"); err != nil {
			return err
		}
		j := Job{Careful: true}
		err := tx.QueryRow(ctx, s.sql(carefulClaimSQL), migration, epoch).
			Scan(&j.ID, &j.After, &j.First, &j.End, &j.BatchSize, &j.Attempts, &j.Crashes)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		job = &j
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim a pending job: %w", err)
	}
	return job, nil
}

const giveBackSQL = `
UPDATE bbm.batched_background_migration_jobs
SET status = 'pending', owner = NULL, attempts = greatest(attempts - careful::int, 0), careful = false, next_attempt_at = clock_timestamp()
WHERE id IN (SELECT j.id FROM ` + openJobsOf + ` j WHERE j.status = 'running' AND j.owner = $2) AND owner = $2 AND status = 'running'`

// GiveBack makes the owner's jobs that have not started pending again. Nothing
// of the owner's may be in flight. It returns how many there were.
func (s Store) GiveBack(ctx context.Context, conn *pgx.Conn, migration, epoch int32) (int64, error) {
	tag, err := conn.Exec(ctx, s.sql(giveBackSQL), migration, epoch)
	if err != nil {
		return 0, fmt.Errorf("give jobs back: %w", err)
	}
	return tag.RowsAffected(), nil
}

const setJobBackSQL = `
UPDATE bbm.batched_background_migration_jobs
SET status = 'pending', owner = NULL, error_sqlstate = nullif($3, ''), error_message = $4,
  attempts = CASE WHEN $5 THEN greatest(attempts - careful::int, 0) ELSE greatest(attempts, 1) END,
  transients = CASE WHEN $3 = '53100' THEN greatest(transients, least(transients + 1, 5)) ELSE transients + $5::int END, careful = false,
  next_attempt_at = clock_timestamp() + least(interval '1 minute', (0.75 + random() / 2) *
    CASE WHEN $5 THEN interval '200 milliseconds' * 2 ^ least(transients, 9) ELSE interval '1 second' * 2 ^ least(attempts - 1, 6) END)
WHERE id = $1 AND owner = $2 AND status = 'running'
RETURNING attempts, transients`

// Failure is a job's own error.
type Failure struct {
	SQLState  string // empty: the error did not come from PostgreSQL
	Message   string
	Transient bool // nobody's fault: does not count as an attempt
}

// SetBack records a failure on an owner's job and makes it pending again, due
// after a time that doubles with every failure, with jitter, up to a minute. A disk that is full (53100) is waited
// for, however long: that does not add up. It
// returns the counts so far; both are zero when the job is not the owner's any more.
func (s Store) SetBack(ctx context.Context, db DB, job int64, epoch int32, f Failure) (attempts, transients int32, err error) {
	err = db.QueryRow(ctx, s.sql(setJobBackSQL), job, epoch, f.SQLState, f.Message, f.Transient).Scan(&attempts, &transients)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("record the failure of job %d: %w", job, err)
	}
	return attempts, transients, nil
}

// Owns reports whether a job is still running under the owner's epoch, its migration
// neither cancelled nor moved to another table, and its key's index still there.
func (s Store) Owns(ctx context.Context, conn *pgx.Conn, job int64, epoch int32, index uint32) (bool, error) {
	var owns bool
	err := conn.QueryRow(ctx, s.sql(`SELECT EXISTS (
		SELECT FROM bbm.batched_background_migration_jobs j JOIN bbm.batched_background_migrations m ON m.id = j.batched_background_migration_id
		WHERE j.id = $1 AND j.owner = $2 AND j.status = 'running' AND m.status <> 'cancelled' AND to_regclass(m.table_name)::oid = m.table_oid`+stillThere(index)+")"),
		job, epoch).Scan(&owns)
	if err != nil {
		return false, fmt.Errorf("look up job %d: %w", job, err)
	}
	return owns, nil
}
