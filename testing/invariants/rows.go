package invariants

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Miscounted returns, in words, which rows of the migration's table do not have
// column = 1 although a finished job covers them, or not 0 although none does or
// the job's row was set aside; nothing if all is well. A batch's rows and its bookkeeping are one, so that this
// holds at any moment, and for migrations in any status.
func Miscounted(ctx context.Context, db Querier, migration, column string) ([]string, error) {
	m, err := lookUp(ctx, db, migration)
	if err != nil {
		return nil, err
	}
	counter := "x." + pgx.Identifier{column}.Sanitize()
	sql := fmt.Sprintf("SELECT format('row %%s was processed %%s times before the start', x.ctid, %[1]s) FROM %[2]s x WHERE $1::int IS NOT NULL AND %[1]s <> 0", counter, m.table)
	if len(m.key) > 0 {
		sql = m.miscountedSQL(counter)
	}
	return m.apply(ctx, db, []rule{{"I1 (exactly once)", sql}})
}

// miscountedSQL lays rows and ends of jobs out from the greatest key down, so
// that one pass tells which job covers a row: the one whose end came last.
func (m subject) miscountedSQL(counter string) string {
	names, down := make([]string, len(m.key)), make([]string, len(m.key))
	for i := range m.key {
		names[i] = fmt.Sprintf("k%d", i)
		down[i] = names[i] + " DESC"
	}
	return fmt.Sprintf(`
WITH mig AS (
  SELECT * FROM bbm.batched_background_migrations WHERE id = $1
), item (%[1]s, is_end, job, status, counted) AS (
  SELECT %[2]s, false, NULL::bigint, NULL::text, %[3]s::bigint FROM %[4]s x
  UNION ALL
  SELECT %[5]s, true, id, status, NULL FROM bbm.batched_background_migration_jobs WHERE batched_background_migration_id = $1
), laid AS (
  SELECT *, count(*) FILTER (WHERE is_end) OVER (ORDER BY %[6]s, is_end DESC ROWS UNBOUNDED PRECEDING) AS ends FROM item
), covered AS (
  SELECT *, max(job) OVER w AS by_job, max(status) OVER w AS job_status FROM laid WINDOW w AS (PARTITION BY ends)
), judged AS (
  SELECT *, CASE WHEN ends > 0 AND job_status = 'finished' AND (%[1]s) >= (SELECT %[7]s FROM mig)
    AND by_job NOT IN (SELECT batched_background_migration_job_id FROM bbm.quarantine WHERE batched_background_migration_id = $1) THEN 1 ELSE 0 END AS expected
  FROM covered WHERE NOT is_end
)
SELECT format('row (%%s) was processed %%s times instead of %%s; job %%s covers it and is %%s', concat_ws(', ', %[1]s), counted, expected,
  coalesce(by_job::text, 'none'), coalesce(job_status, 'not there'))
FROM judged WHERE counted <> expected ORDER BY %[1]s`,
		strings.Join(names, ", "), m.key.columns("x"), counter, m.table, m.key.values("max_value"), strings.Join(down, ", "), m.key.values("min_value"))
}
