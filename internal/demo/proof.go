package demo

import (
	"context"
	"errors"
	"fmt"

	"github.com/bbmd-dev/bbmd/internal/terminal"
)

const rowsSQL = `SELECT count(*) FROM pgbench_accounts WHERE abalance <> 1;`

// chainSQL looks at the jobs in the order of their keys, compared as integers:
// each has to begin where the one before it ended, and only the first has no lower bound.
const chainSQL = `WITH chain AS (
  SELECT j.status, m.min_value::int AS first, j.after_value::int AS after,
    j.max_value::int AS last,
    lag(j.max_value::int) OVER (ORDER BY j.max_value::int) AS previous
  FROM bbm.batched_background_migrations m
  JOIN bbm.batched_background_migration_jobs j
    ON j.batched_background_migration_id = m.id
  WHERE m.name = 'add_one')
SELECT count(*) AS jobs,
  count(*) FILTER (WHERE status <> 'finished') AS unfinished,
  count(*) FILTER (WHERE after IS DISTINCT FROM previous) AS torn,
  (min(first), max(last)) = (
    SELECT min(aid), max(aid) FROM pgbench_accounts) AS whole
FROM chain;`

// prove shows that the promise was kept, or returns an error that says how not.
func (s *story) prove(ctx context.Context) error {
	s.step("The proof")
	s.sql(rowsSQL)
	var wrong int64
	if err := s.conn.QueryRow(ctx, rowsSQL).Scan(&wrong); err != nil {
		return fmt.Errorf("count rows: %w", err)
	}
	if wrong == 0 {
		s.verdict(true, "%s rows: each of the %s was changed exactly once", terminal.Count(wrong), terminal.Count(s.rows()))
	} else {
		s.verdict(false, "%s rows were not changed exactly once", terminal.Count(wrong))
	}

	s.sql(chainSQL)
	var jobs, unfinished, torn int64
	var whole *bool // NULL: there are no jobs
	if err := s.conn.QueryRow(ctx, chainSQL).Scan(&jobs, &unfinished, &torn, &whole); err != nil {
		return fmt.Errorf("look at the jobs: %w", err)
	}
	tiled := unfinished == 0 && torn == 0 && whole != nil && *whole
	if tiled {
		s.verdict(true, "%s jobs, all finished, no gap and no overlap: they tile the keys", terminal.Count(jobs))
	} else {
		s.verdict(false, "%s jobs, %s not finished, %s gaps or overlaps: they do not tile the keys",
			terminal.Count(jobs), terminal.Count(unfinished), terminal.Count(torn))
	}
	if wrong != 0 || !tiled {
		return errors.New("the demo has failed: see the proof")
	}
	return nil
}
