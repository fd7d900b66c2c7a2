package bench

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// keys are the kinds of keys that are measured.
type keys string

const (
	bigints keys = "bigint" // in the order of the rows
	uuids   keys = "uuid"   // random
)

// update is the work: not idempotent, so that a row which is changed twice shows.
const update = "UPDATE bench_rows SET b = b + 1 WHERE "

// batch is a range of keys, both ends inclusive.
type batch struct{ first, last string }

// slice is what one variant gets in one round: batches that nobody has touched.
type slice struct {
	batches []batch
	size    int // rows in a batch
}

func (s slice) rows() int     { return len(s.batches) * s.size }
func (s slice) first() string { return s.batches[0].first }
func (s slice) last() string  { return s.batches[len(s.batches)-1].last }

// fill makes the table anew, rows about 80 bytes long, as autovacuum would leave it.
func (d *database) fill(ctx context.Context, k keys, rows int) error {
	key := "i"
	if k == uuids {
		key = "gen_random_uuid()"
	}
	return d.run(ctx,
		"DROP TABLE IF EXISTS bench_rows",
		fmt.Sprintf("CREATE TABLE bench_rows (id %s NOT NULL, a text NOT NULL, b int NOT NULL DEFAULT 0)", k),
		fmt.Sprintf("INSERT INTO bench_rows SELECT %s, rpad(i::text, 36, '.') FROM generate_series(1, %d) i", key, rows),
		"ALTER TABLE bench_rows ADD PRIMARY KEY (id)",
		"VACUUM (ANALYZE) bench_rows",
		"VACUUM (ANALYZE) bbm.batched_background_migrations", "VACUUM (ANALYZE) bbm.batched_background_migration_jobs",
		"CHECKPOINT")
}

// batches cuts the whole table, so that the bare loop does not have to.
func (d *database) batches(ctx context.Context, k keys, rows, size int) ([]batch, error) {
	all := make([]batch, 0, rows/size)
	if k == bigints {
		for first := 1; first+size-1 <= rows; first += size {
			all = append(all, batch{strconv.Itoa(first), strconv.Itoa(first + size - 1)})
		}
		return all, nil
	}
	found, err := d.admin.Query(ctx, `SELECT min(id::text), max(id::text) FROM (
		SELECT id, (row_number() OVER (ORDER BY id) - 1) / $1::int AS n FROM bench_rows) s GROUP BY n HAVING count(*) = $1 ORDER BY n`, size)
	if err != nil {
		return nil, fmt.Errorf("cut the table: %w", err)
	}
	var b batch
	if _, err := pgx.ForEachRow(found, []any{&b.first, &b.last}, func() error { all = append(all, b); return nil }); err != nil {
		return nil, fmt.Errorf("cut the table: %w", err)
	}
	return all, nil
}

// checkOnce fails when a row up to last was not changed exactly once, or one behind it was.
func (d *database) checkOnce(ctx context.Context, k keys, last string) error {
	var wrong int64
	sql := fmt.Sprintf("SELECT count(*) FROM bench_rows WHERE b <> (id <= $1::text::%s)::int", k)
	if err := d.admin.QueryRow(ctx, sql, last).Scan(&wrong); err != nil {
		return fmt.Errorf("check that every row was changed once: %w", err)
	}
	if wrong > 0 {
		return fmt.Errorf("check that every row was changed once: %d were not", wrong)
	}
	return nil
}

// chainSQL counts what is wrong with a migration's chain of jobs.
const chainSQL = `
SELECT count(*) FILTER (WHERE status <> 'finished' OR ordinal IS NULL), count(*) FILTER (WHERE after_value IS DISTINCT FROM before),
  count(*), max(max_value) FILTER (WHERE ordinal = last)
FROM (SELECT j.status, ordinal, after_value, j.max_value, lag(j.max_value) OVER (ORDER BY ordinal) AS before, max(ordinal) OVER () AS last
  FROM bbm.batched_background_migration_jobs j JOIN bbm.batched_background_migrations m ON m.id = j.batched_background_migration_id
  WHERE m.name = $1) jobs`

// checkChain fails when a migration's jobs are not finished, do not tile the slice, or are
// more or fewer than batches were asked for.
func (d *database) checkChain(ctx context.Context, migration string, s slice) error {
	var open, seams, jobs int
	var end *string
	if err := d.admin.QueryRow(ctx, chainSQL, migration).Scan(&open, &seams, &jobs, &end); err != nil {
		return fmt.Errorf("check the jobs of %s: %w", migration, err)
	}
	if open > 0 || seams > 0 || jobs != len(s.batches) || end == nil || *end != s.last() {
		return fmt.Errorf("check the jobs of %s: %d jobs for %d batches, %d of them not finished, %d that do not begin where the one before ends",
			migration, jobs, len(s.batches), open, seams)
	}
	return nil
}

// elapsed returns the time between a migration's start and its end, as its row says.
func (d *database) elapsed(ctx context.Context, migration string) (time.Duration, error) {
	var elapsed time.Duration
	err := d.admin.QueryRow(ctx, "SELECT finished_at - started_at FROM bbm.batched_background_migrations WHERE name = $1", migration).Scan(&elapsed)
	if err != nil {
		return 0, fmt.Errorf("look up %s: %w", migration, err)
	}
	return elapsed, nil
}
