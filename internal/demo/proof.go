package demo

import (
	"context"
	"errors"
	"fmt"

	"github.com/bbmd-dev/bbmd/internal/terminal"
)

const rowsSQL = `SELECT count(*) FROM pgbench_accounts WHERE abalance <> 1;`

// chainSQL looks at the jobs in the order of their keys, compared as integers:
// each has to begin where the one before it ended.
const chainSQL = `SELECT count(*), count(*) FILTER (WHERE status <> 'finished'),
       count(*) FILTER (WHERE after IS DISTINCT FROM lag),
       min(upto) FILTER (WHERE lag IS NULL) IS NOT NULL AND max(upto) = last AS whole
FROM (SELECT j.status, j.after_value::int AS after, j.max_value::int AS upto,
             m.max_value::int AS last, lag(j.max_value::int) OVER (ORDER BY j.max_value::int)
      FROM bbm.batched_background_migration_jobs j
      JOIN bbm.batched_background_migrations m ON m.id = j.batched_background_migration_id
      WHERE m.name = 'add_one') chain GROUP BY last;`

// prove shows that the promise was kept, or returns an error that says how not.
func (s *story) prove(ctx context.Context) error {
	s.step("The proof")
	s.sql(rowsSQL)
	var wrong int64
	if err := s.conn.QueryRow(ctx, rowsSQL).Scan(&wrong); err != nil {
		return fmt.Errorf("count rows: %w", err)
	}
	s.verdict(wrong == 0, "%s: every one of %s rows was changed exactly once", terminal.Count(wrong), terminal.Count(s.rows()))

	s.sql(chainSQL)
	var jobs, unfinished, torn int64
	var whole bool
	if err := s.conn.QueryRow(ctx, chainSQL).Scan(&jobs, &unfinished, &torn, &whole); err != nil {
		return fmt.Errorf("look at the jobs: %w", err)
	}
	tiled := jobs > 0 && unfinished == 0 && torn == 0 && whole
	s.verdict(tiled, "%s jobs, %s not finished, %s gaps or overlaps: they tile the keys from the first to the last",
		terminal.Count(jobs), terminal.Count(unfinished), terminal.Count(torn))
	if wrong != 0 || !tiled {
		return errors.New("the demo has failed: see the proof")
	}
	return nil
}
