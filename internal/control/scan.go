package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// The statuses of a migration.
const (
	StatusPaused    = "paused"
	StatusActive    = "active"
	StatusRunning   = "running"
	StatusFinished  = "finished"
	StatusFailed    = "failed"
	StatusCancelled = "cancelled"
)

// The strategies by which a migration cuts its batches.
const (
	StrategyKeyset = "keyset" // ranges of a unique key
	StrategyNull   = "null"   // rows whose column IS NULL, until none is left
)

// Candidate is a migration that is active or running, or was [Candidate.Stopped] while somebody was at it, and
// what a reconcile has to know to decide about it.
type Candidate struct {
	ID              int32
	Name            string
	Priority        int32
	Work            string
	WorkVersion     *int32 // nil before the start
	WorkDigest      string // empty before the start, and for a Work that is compiled in
	Table           string
	KeyColumns      []string // nil before the start
	KeyTypes        []string // nil before the start
	TableOID        *uint32  // nil before the start
	Columns         *string  // as the row says; nil: the primary key
	Strategy        string   // [StrategyKeyset] or [StrategyNull]
	Arguments       json.RawMessage
	MinValue        *string
	MaxValue        *string
	Parallelism     int32
	MaxAttempts     *int32 // nil: as the daemon is configured
	Knobs           Knobs
	LastBatchSize   *int32 // of the worker that counted last; nil: none has
	Status          string
	StatusReason    *string
	KeyCollation    *string
	Waiting         []string       // dependencies that have not finished, with their statuses
	TableBusy       *string        // name of the running migration that has the table
	TableReplaced   bool           // the name leads to another table than at the start, or to none
	SlotsHeld       int32          // workers at it, over all replicas
	Owners          []int32        // epochs that hold running jobs, at most 100
	DueIn           *time.Duration // until the next pending job may be tried; negative: overdue; nil: none pending
	LastError       *string        // of the pending job with the most failures
	ChainComplete   bool           // the last job reaches max_value
	Unverified      bool           // its Work can verify ranges, and not all of them are verified
	VerifiedOrdinal int64
	HasOpenJobs     bool
}

// Knobs are what a worker asks for again with every claim, since they may change
// while it works.
type Knobs struct {
	BatchSize    int32
	MinBatchSize int32
	MaxBatchSize int32
	Target       *time.Duration // per batch; nil: as the daemon is configured; 0: BatchSize stays
	Pause        time.Duration  // after each batch
	Throttle     *string        // what is different from the daemon's throttle, as JSON; nil: nothing
}

// Started reports whether the migration's table, key and range are recorded.
func (c *Candidate) Started() bool { return c.TableOID != nil }

// Stopped reports whether it was paused, has failed, or was cancelled.
func (c *Candidate) Stopped() bool { return c.Status != StatusActive && c.Status != StatusRunning }

// Done reports whether nothing is left but to call the migration finished.
func (c *Candidate) Done() bool { return c.Processed() && !c.Unverified }

// Processed reports whether every job of the chain is finished.
func (c *Candidate) Processed() bool {
	return c.Status == StatusRunning && c.ChainComplete && !c.HasOpenJobs
}

// ScanLimit is how many active migrations one scan returns at most.
const ScanLimit = 100

const candidateSQL = `
WITH slots AS MATERIALIZED (
  SELECT objid::bigint / 64 AS id, count(*)::int AS held FROM pg_catalog.pg_locks
  WHERE locktype = 'advisory' AND classid = 7703 AND objsubid = 2 AND granted
    AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  GROUP BY 1
)
SELECT m.id, m.name, m.priority, m.job_signature_name, m.work_version, m.table_name, m.key_columns, m.key_types, m.table_oid, m.column_name,
  m.batching_strategy, m.arguments, m.min_value, m.max_value, m.parallelism, m.max_attempts,
  m.batch_size, m.min_batch_size, m.max_batch_size, extract(epoch FROM m.target_duration)::float8, extract(epoch FROM m.pause)::float8, m.throttle::text,
  (SELECT c.batch_size FROM bbm.counters c WHERE c.batched_background_migration_id = m.id AND m.table_oid IS NOT NULL ORDER BY c.updated_at DESC LIMIT 1), m.status, m.status_reason, m.key_collation,
  ARRAY(SELECT format('%s (%s)', d.name, coalesce(o.status, 'unknown')) FROM unnest(m.depends_on) d(name)
    LEFT JOIN bbm.batched_background_migrations o ON o.name = d.name WHERE o.status IS DISTINCT FROM 'finished'),
  CASE WHEN m.status = 'active' THEN (SELECT o.name FROM bbm.batched_background_migrations o
    WHERE o.status = 'running' AND o.table_oid = coalesce(m.table_oid, bbm.table_named(m.table_name))) END,
  m.table_oid IS NOT NULL AND bbm.table_named(m.table_name) IS DISTINCT FROM m.table_oid,
  coalesce(slots.held, 0), coalesce(open.owners, '{}'), open.due_in, open.last_error,
  m.max_value IS NOT NULL AND m.max_value IS NOT DISTINCT FROM tail.max_value, m.verify AND m.verified_ordinal < coalesce(tail.ordinal, 0),
  m.verified_ordinal,
  coalesce(open.jobs, 0) > 0, coalesce(m.work_digest, '')
FROM @from@ m
LEFT JOIN slots ON slots.id = m.id
CROSS JOIN LATERAL (
  SELECT count(*) AS jobs, (array_agg(DISTINCT owner) FILTER (WHERE status = 'running'))[1:100] AS owners,
    extract(epoch FROM min(CASE WHEN ` + due + ` THEN least(next_attempt_at, clock_timestamp()) ELSE next_attempt_at END) FILTER (WHERE status = 'pending') - clock_timestamp())::float8 AS due_in,
    (array_agg(error_message ORDER BY attempts + transients DESC) FILTER (WHERE status = 'pending' AND error_message IS NOT NULL))[1] AS last_error
  FROM ` + openJobs + ` j WHERE m.table_oid IS NOT NULL
) open
LEFT JOIN LATERAL (
  SELECT ordinal, max_value FROM bbm.batched_background_migration_jobs
  WHERE batched_background_migration_id = m.id AND ordinal IS NOT NULL AND m.table_oid IS NOT NULL ORDER BY ordinal DESC LIMIT 1
) tail ON true
ORDER BY m.priority, m.id`

// The first statement has no parameters, so that its plan is made once for a session. Each
// takes its rows from an index, in their order, and looks at nothing else.
const (
	scanFrom = `(
  SELECT * FROM bbm.batched_background_migrations WHERE status = 'running'
  UNION ALL
  (SELECT * FROM bbm.batched_background_migrations WHERE status = 'active' AND status IN ('active', 'running') ORDER BY priority, id LIMIT 100)
  UNION ALL
  (SELECT * FROM bbm.batched_background_migrations WHERE unsettled AND status NOT IN ('active', 'running') ORDER BY id LIMIT 100)
)`
	scanBehindFrom = `(
  SELECT * FROM bbm.batched_background_migrations
  WHERE status = 'active' AND status IN ('active', 'running') AND (priority, id) > ($1, $2) AND table_name <> ALL ($3)
    AND (job_signature_name <> ALL ($4) OR status_reason IS NULL) ORDER BY priority, id LIMIT 100
)`
	scanOneFrom = `(SELECT * FROM bbm.batched_background_migrations WHERE name = $1)`
)

// Scan returns the migrations that are running, and of those that are active the first
// [ScanLimit], in the order in which they want to run; among them those that were stopped, at most as many, where jobs may still be
// running (see [Store.Settle]). Its cost grows with the open jobs, neither with those that have
// finished, however long other sessions hold their snapshots, nor with the length of the queue, nor with how many were ever stopped.
func (s Store) Scan(ctx context.Context, db DB) ([]Candidate, error) {
	return s.scan(ctx, db, scanFrom)
}

// Behind says where a scan goes on, and whom it passes over.
type Behind struct {
	Priority, ID int32
	Tables       []string // those whose rows name one of these
	Works        []string // those of one of these Works whose rows say already why they wait
}

// ScanBehind returns the next [ScanLimit] active migrations, those behind that
// priority and id, but for those that it is to pass over.
func (s Store) ScanBehind(ctx context.Context, db DB, b Behind) ([]Candidate, error) {
	return s.scan(ctx, db, scanBehindFrom, b.Priority, b.ID, append([]string{}, b.Tables...), append([]string{}, b.Works...))
}

func (s Store) scan(ctx context.Context, db DB, from string, args ...any) ([]Candidate, error) {
	rows, err := db.Query(ctx, s.sql(strings.ReplaceAll(candidateSQL, "@from@", from)), args...)
	if err != nil {
		return nil, fmt.Errorf("scan migrations: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanCandidate)
	if err != nil {
		return nil, fmt.Errorf("scan migrations: %w", err)
	}
	return found, nil
}

// CountOpen returns how many migrations are active and running. Its cost grows with their number.
func (s Store) CountOpen(ctx context.Context, db DB) (map[string]int, error) {
	count := map[string]int{StatusActive: 0, StatusRunning: 0}
	rows, err := db.Query(ctx, s.sql("SELECT status, count(*) FROM bbm.batched_background_migrations WHERE status IN ('active', 'running') GROUP BY 1"))
	if err != nil {
		return nil, fmt.Errorf("count migrations: %w", err)
	}
	var status string
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&status, &n}, func() error { count[status] = n; return nil }); err != nil {
		return nil, fmt.Errorf("count migrations: %w", err)
	}
	return count, nil
}

// ScanOne returns the migration of that name, whatever its status, or an error
// that wraps [ErrNoMigration].
func (s Store) ScanOne(ctx context.Context, db DB, name string) (Candidate, error) {
	rows, err := db.Query(ctx, s.sql(strings.ReplaceAll(candidateSQL, "@from@", scanOneFrom)), name)
	if err != nil {
		return Candidate{}, fmt.Errorf("scan migration %q: %w", name, err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, scanCandidate)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Candidate{}, fmt.Errorf("%w named %q", ErrNoMigration, name)
	case err != nil:
		return Candidate{}, fmt.Errorf("scan migration %q: %w", name, err)
	default:
		return found, nil
	}
}

func scanCandidate(row pgx.CollectableRow) (Candidate, error) {
	var c Candidate
	var dueIn, target *float64
	var pause float64
	err := row.Scan(&c.ID, &c.Name, &c.Priority, &c.Work, &c.WorkVersion, &c.Table, &c.KeyColumns, &c.KeyTypes, &c.TableOID, &c.Columns,
		&c.Strategy, &c.Arguments, &c.MinValue, &c.MaxValue, &c.Parallelism, &c.MaxAttempts,
		&c.Knobs.BatchSize, &c.Knobs.MinBatchSize, &c.Knobs.MaxBatchSize, &target, &pause, &c.Knobs.Throttle, &c.LastBatchSize, &c.Status, &c.StatusReason, &c.KeyCollation,
		&c.Waiting, &c.TableBusy, &c.TableReplaced, &c.SlotsHeld, &c.Owners, &dueIn, &c.LastError, &c.ChainComplete, &c.Unverified, &c.VerifiedOrdinal, &c.HasOpenJobs, &c.WorkDigest)
	c.DueIn, c.Knobs.Target, c.Knobs.Pause = seconds(dueIn), seconds(target), *seconds(&pause)
	return c, err
}

func seconds(s *float64) *time.Duration {
	if s == nil {
		return nil
	}
	d := time.Duration(*s * float64(time.Second))
	return &d
}
