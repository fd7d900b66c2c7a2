package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// The lists below are read a page at a time, each page from behind the last row
// of the one before: what is behind it is found by an index, however long the list.

// ErrNoRun says that there is no run of that number.
var ErrNoRun = errors.New("there is no run")

// ProgressPage returns at most limit migrations, the latest first, of those that
// were enqueued before the one with the id before (0: of all) and have one of
// the statuses (nil: any).
func (s Store) ProgressPage(ctx context.Context, db DB, statuses []string, before int32, limit int) ([]Progress, error) {
	rows, err := db.Query(ctx, s.sql(`SELECT name FROM bbm.batched_background_migrations
		WHERE ($1::int = 0 OR id < $1) AND ($2::text[] IS NULL OR status = ANY ($2)) ORDER BY id DESC LIMIT $3`), before, statuses, limit)
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	if len(names) == 0 {
		return []Progress{}, nil
	}
	all, err := s.Progress(ctx, db, Selection{Names: names})
	slices.SortFunc(all, func(a, b Progress) int { return int(b.ID - a.ID) })
	return all, err
}

// JobRow is all that is known of a job.
type JobRow struct {
	JobState

	Rows         *int64   `json:"rows_affected"` // nil: it has not finished, or was not counted
	Milliseconds *float64 `json:"duration_ms"`   // likewise
}

const pageOfJobs = `SELECT coalesce(json_agg(t ORDER BY t.@order@), '[]') FROM (SELECT j.*, ` + secondsUntilNextAttempt + `
  FROM bbm.batched_background_migration_jobs j WHERE batched_background_migration_id = $1 AND `

// OpenJobsPage returns at most limit jobs of a migration that are not finished,
// in the order of their ids, of those behind the one with the id after, and of
// that status only where it is not empty.
func (s Store) OpenJobsPage(ctx context.Context, db DB, migration int32, status string, after int64, limit int) ([]JobRow, error) {
	return s.jobsPage(ctx, db, "id", `status <> 'finished' AND ($2 = '' OR status = $2) AND id > $3`, "$4", migration, status, after, limit)
}

// JobsPage returns at most limit jobs of a migration, the latest of its chain
// first, of those before the one with the ordinal before (0: of all). The lower
// halves of jobs that were split have no place in the chain, and are left out.
func (s Store) JobsPage(ctx context.Context, db DB, migration int32, before int64, limit int) ([]JobRow, error) {
	return s.jobsPage(ctx, db, "ordinal DESC", `ordinal IS NOT NULL AND ($2 = 0 OR ordinal < $2)`, "$3", migration, before, limit)
}

func (s Store) jobsPage(ctx context.Context, db DB, order, which, limit string, args ...any) ([]JobRow, error) {
	var jobs []JobRow
	sql := strings.ReplaceAll(pageOfJobs+which+" ORDER BY @order@ LIMIT "+limit+") t", "@order@", order)
	if err := db.QueryRow(ctx, s.sql(sql), args...).Scan(&jobs); err != nil {
		return nil, fmt.Errorf("read a page of jobs: %w", err)
	}
	return jobs, nil
}

// BatchSample is one finished batch of a migration.
type BatchSample struct {
	Ordinal      int64    `json:"ordinal"`
	BatchSize    int32    `json:"batch_size"` // keys
	Milliseconds *float64 `json:"duration_ms"`
	At           *float64 `json:"finished_at_unix"` // seconds since 1970
}

// Samples of the chain, evenly spread: each is found by its ordinal.
const samplesSQL = `
SELECT j.ordinal, j.batch_size, j.duration_ms::float8, extract(epoch FROM j.finished_at)::float8
FROM (SELECT max(ordinal) AS last FROM bbm.batched_background_migration_jobs WHERE batched_background_migration_id = $1) chain
CROSS JOIN LATERAL generate_series(chain.last, 1, -greatest(chain.last / $2::bigint, 1)) wanted(ordinal)
JOIN LATERAL (SELECT * FROM bbm.batched_background_migration_jobs
  WHERE batched_background_migration_id = $1 AND ordinal = wanted.ordinal AND status = 'finished' LIMIT 1) j ON true
ORDER BY j.ordinal`

// BatchSamples returns some of a migration's finished batches, from the first to
// the last, about as many as asked for: how their size and time have changed.
func (s Store) BatchSamples(ctx context.Context, db DB, migration int32, samples int) ([]BatchSample, error) {
	rows, err := db.Query(ctx, s.sql(samplesSQL), migration, samples)
	if err != nil {
		return nil, fmt.Errorf("read batches of migration %d: %w", migration, err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[BatchSample])
	if err != nil {
		return nil, fmt.Errorf("read batches of migration %d: %w", migration, err)
	}
	return all, nil
}

// RunsPage returns at most limit runs without their logs, the latest first, of
// those before the one of that number (0: of all).
func (s Store) RunsPage(ctx context.Context, db DB, before int64, limit int) ([]Run, error) {
	return s.selectRuns(ctx, db, "($3::bigint = 0 OR id < $3)", limit, false, before)
}

// Run returns one run with its log; the error wraps [ErrNoRun] where there is none.
func (s Store) Run(ctx context.Context, db DB, id int64) (*Run, error) {
	runs, err := s.selectRuns(ctx, db, "id = $3::bigint", 1, true, id)
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, fmt.Errorf("%w of the number %d", ErrNoRun, id)
	}
	return &runs[0], nil
}
