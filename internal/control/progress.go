package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNoMigration says that there is no migration of a name: look at the names
// that there are.
var ErrNoMigration = errors.New("there is no migration")

// Progress is how far a migration is: a row of the view bbm.progress, and what
// else a list of migrations shows. Its names in JSON are the view's. Figures are
// counted once a second, and are estimates until the migration has finished.
type Progress struct {
	ID       int32   `json:"id"`
	Name     string  `json:"name"`
	Work     string  `json:"job_signature_name"`
	Table    string  `json:"table_name"`
	Status   string  `json:"status"`
	Reason   *string `json:"status_reason"` // why nothing moves, also where the view has none because it is far behind; nil: it moves, or is over, or nobody has looked yet
	Percent  float64 `json:"percent"`       // 0 to 100; it never falls, and is 100 only for a migration that has finished
	Keys     int64   `json:"keys_done"`     // rows passed
	Rows     int64   `json:"rows_done"`     // rows changed
	Batches  int64   `json:"batches_done"`
	Total    *int64  `json:"total_tuple_count"` // an estimate, made again while it runs; nil before the start, and where nobody can know
	Error    *string `json:"error_message"`     // why the migration failed
	SQLState *string `json:"error_sqlstate"`

	// Pace says what the speed and the time left mean, and how it stands where there are none.
	Pace Pace `json:"pace"`
	// Since is when the migration came to its status, and SecondsSince how long ago that is.
	Since        time.Time `json:"status_since"`
	SecondsSince float64   `json:"seconds_since"`

	// KeysPerSecond is the speed of the last 15 to 30 seconds, since it was last resumed at most. Nil
	// where the migration does not move, or has not been counted twice yet.
	KeysPerSecond *float64 `json:"keys_per_second"`
	// SecondsLeft is how long the rest takes at that speed; nil where that cannot be said.
	SecondsLeft *float64 `json:"seconds_left"`
	// SecondsElapsed is the time from the first start to the end, or until now;
	// nil before the start.
	SecondsElapsed *float64 `json:"seconds_elapsed"`

	// CurrentBatchSize is how many keys the batches have now, and BatchSizeReason
	// why. Nil before any was counted, and after the end.
	CurrentBatchSize *int32  `json:"current_batch_size"`
	BatchSizeReason  *string `json:"batch_size_reason"`
	// P90Milliseconds is how long nine of ten of the latest batches took at most; nil:
	// too few have finished since the size changed, or it does not follow their time.
	P90Milliseconds *float64 `json:"p90_ms"`
	// Throttled is how the throttle slows the batches of a migration that goes on all the same, and why; nil: it does not.
	Throttled *string `json:"throttled"`

	RunningJobs int64      `json:"running_jobs"` // claimed by a worker
	PendingJobs int64      `json:"pending_jobs"` // given back, or to be tried again
	FailedJobs  int64      `json:"failed_jobs"`
	Quarantined int64      `json:"quarantined"` // rows that were set aside, because they fail alone
	Troubles    []JobState `json:"troubles"`    // the failed jobs, then those that are tried again; some of each

	CreatedAt  time.Time  `json:"created_at"`
	StartedAt  *time.Time `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
}

// Over reports whether the migration has come to an end: finished, failed or cancelled.
func (p *Progress) Over() bool {
	return p.Status == StatusFinished || p.Status == StatusFailed || p.Status == StatusCancelled
}

// Selection says which migrations [Store.Progress] returns. The zero value
// stands for all.
type Selection struct {
	Names []string // only these
	Open  bool     // only those that are not over, beside Names
	Ended int      // without Names and Open: of those finished or cancelled, the latest so many; 0: all
}

// troublesEach is how many jobs a [Progress] carries at most.
const troublesEach = 3

const progressSQL = `
SELECT p.id, p.name, p.job_signature_name, p.table_name, p.status, p.status_reason, p.percent::float8, p.keys_done, p.rows_done, p.batches_done,
  p.total_tuple_count, p.error_message, p.error_sqlstate,
  CASE WHEN tail.max_value IS DISTINCT FROM m.max_value THEN '' WHEN open.again > 0 THEN 'retrying' WHEN m.verify AND open.jobs = 0 THEN 'verifying' ELSE '' END, coalesce(p.status_since, p.created_at), greatest(extract(epoch FROM clock_timestamp() - coalesce(p.status_since, p.created_at)), 0)::float8,
  p.keys_per_second, NULL::float8, greatest(extract(epoch FROM p.elapsed), 0)::float8,
  p.batch_size, p.batch_size_reason, p.p90_ms::float8, p.throttled, open.running, open.pending, p.failed_jobs, p.quarantined, coalesce(open.troubles, '[]'),
  p.created_at, p.started_at, p.finished_at, p.updated_at
FROM bbm.progress p
JOIN bbm.batched_background_migrations m ON m.id = p.id
CROSS JOIN LATERAL (
  SELECT count(*) AS jobs, count(*) FILTER (WHERE status = 'pending' AND attempts + transients > 0 OR careful) AS again, count(*) FILTER (WHERE status = 'running') AS running, count(*) FILTER (WHERE status = 'pending') AS pending,
    (SELECT json_agg(t ORDER BY t.rank, t.id) FROM (
      SELECT j.*, j.status <> 'failed' AS rank, ` + secondsUntilNextAttempt + ` FROM ` + openJobs + ` j
      WHERE j.status IN ('failed', 'pending') AND error_message IS NOT NULL
      ORDER BY rank, j.id LIMIT $3) t) AS troubles
  FROM ` + openJobs + ` j) open
LEFT JOIN LATERAL (
  SELECT max_value FROM bbm.batched_background_migration_jobs
  WHERE batched_background_migration_id = p.id AND ordinal IS NOT NULL ORDER BY ordinal DESC LIMIT 1) tail ON p.status = 'running'
WHERE CASE WHEN $1::text[] IS NOT NULL OR $4 THEN p.name = ANY (coalesce($1, '{}')) OR $4 AND p.status IN ('active', 'running', 'paused')
  ELSE p.status NOT IN ('finished', 'cancelled') OR $2 = 0 OR p.id IN (
    SELECT id FROM bbm.batched_background_migrations WHERE status IN ('finished', 'cancelled') ORDER BY finished_at DESC, id DESC LIMIT $2) END
ORDER BY array_position('{running,active,paused,failed}', p.status), CASE WHEN p.finished_at IS NULL THEN m.priority END,
  p.finished_at DESC, p.id`

// Progress returns the migrations that sel names: those under way first, in the
// order in which they want to run, and then the others, the latest first. Names
// that there are not are left out.
func (s Store) Progress(ctx context.Context, db DB, sel Selection) ([]Progress, error) {
	if len(sel.Names) == 0 {
		sel.Names = nil // NULL: not a list of no names
	}
	rows, err := db.Query(ctx, s.sql(progressSQL), sel.Names, sel.Ended, troublesEach, sel.Open)
	if err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Progress])
	if err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	for i := range all {
		all[i].judge()
	}
	return all, s.explainTurns(ctx, db, all)
}

// Detail is all that there is to know of one migration.
type Detail struct {
	Progress

	Arguments      json.RawMessage `json:"arguments"`
	Column         *string         `json:"column_name"` // as it was enqueued; nil: the primary key
	KeyColumns     []string        `json:"key_columns"` // nil before the start
	KeyTypes       []string        `json:"key_types"`   // nil before the start
	Min            *string         `json:"min_value"`
	Max            *string         `json:"max_value"`
	BatchSize      int32           `json:"batch_size"` // of the first batches
	Parallelism    int32           `json:"parallelism"`
	Priority       int32           `json:"priority"`
	DependsOn      []string        `json:"depends_on"`
	MaxAttempts    *int32          `json:"max_attempts"` // nil: as the daemon is configured
	MaxQuarantined int32           `json:"max_quarantined"`
	TargetMillis   *float64        `json:"target_duration_ms"` // how long a batch is to take; 0: the size stays as it is; nil: as the daemon is configured
	WorkVersion    *int32          `json:"work_version"`       // nil before the start

	Transitions []Transition `json:"transitions"` // the latest 50, the oldest of them first
	Jobs        []JobState   `json:"jobs"`        // up to 20 that failed or wait, failed ones first
}

// Transition is one change of a migration's status.
type Transition struct {
	At          time.Time `json:"at"`
	From        *string   `json:"from_status"` // nil: the migration was enqueued
	To          string    `json:"to_status"`
	Reason      *string   `json:"reason"`
	Who         string    `json:"who"`         // the user of the session
	Application string    `json:"application"` // its application_name
}

// Detail returns one migration; the error wraps [ErrNoMigration] when there is
// none of that name.
func (s Store) Detail(ctx context.Context, db DB, name string) (*Detail, error) {
	found, err := s.Progress(ctx, db, Selection{Names: []string{name}})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w named %q", ErrNoMigration, name)
	}
	d := &Detail{Progress: found[0]}
	err = db.QueryRow(ctx, s.sql(`SELECT arguments, column_name, key_columns, key_types, min_value, max_value, batch_size, parallelism, priority,
		depends_on, max_attempts, max_quarantined, extract(epoch FROM target_duration)::float8 * 1000, work_version FROM bbm.batched_background_migrations WHERE id = $1`), d.ID).
		Scan(&d.Arguments, &d.Column, &d.KeyColumns, &d.KeyTypes, &d.Min, &d.Max, &d.BatchSize, &d.Parallelism, &d.Priority,
			&d.DependsOn, &d.MaxAttempts, &d.MaxQuarantined, &d.TargetMillis, &d.WorkVersion)
	if err != nil {
		return nil, fmt.Errorf("read migration %q: %w", name, err)
	}
	if d.Transitions, err = s.transitions(ctx, db, d.ID); err != nil {
		return nil, err
	}
	d.Jobs, err = s.OpenJobs(ctx, db, d.ID, 20)
	return d, err
}

func (s Store) transitions(ctx context.Context, db DB, migration int32) ([]Transition, error) {
	rows, err := db.Query(ctx, s.sql(`SELECT at, from_status, to_status, reason, who, application FROM (
		SELECT * FROM bbm.transitions WHERE batched_background_migration_id = $1 ORDER BY id DESC LIMIT 50) t ORDER BY id`), migration)
	if err != nil {
		return nil, fmt.Errorf("read transitions: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Transition])
	if err != nil {
		return nil, fmt.Errorf("read transitions: %w", err)
	}
	return all, nil
}

// Attended reports whether a bbmd that runs background migrations has a session
// on this database. Those of a command are called bbmd/<database>/<command>, and do not count.
func (s Store) Attended(ctx context.Context, db DB) (bool, error) {
	var attended bool
	// A daemon's control pool is bbmd/<database>, and keeps its session.
	err := db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity
		WHERE datname = current_database() AND application_name LIKE 'bbmd/%' AND application_name NOT LIKE 'bbmd/%/%')`).Scan(&attended)
	if err != nil {
		return false, fmt.Errorf("look for a daemon: %w", err)
	}
	return attended, nil
}

// Names returns the names of all migrations, the latest first, at most limit.
func (s Store) Names(ctx context.Context, db DB, limit int) ([]string, error) {
	rows, err := db.Query(ctx, s.sql("SELECT name FROM bbm.batched_background_migrations ORDER BY id DESC LIMIT $1"), limit)
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	return names, nil
}
