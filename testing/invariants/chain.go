package invariants

import "fmt"

// chainRules demand that the jobs tile the range: laid out in the key's order,
// each begins where the one before it ends, and the last ends where the range
// does. All jobs count, also those that a split has made and that have no place
// in the chain of ordinals.
func chainRules(k key) []rule {
	const invariant = "I2 (no gap, no overlap)"
	// Keys are ranked once, as the key's types, so that bounds of any key are compared as numbers.
	jobs := fmt.Sprintf(`
WITH mig AS (
  SELECT * FROM bbm.batched_background_migrations WHERE id = $1
), own AS (
  SELECT * FROM bbm.batched_background_migration_jobs WHERE batched_background_migration_id = $1
), bound AS (
  SELECT v, dense_rank() OVER (ORDER BY %s) AS rank FROM (
    SELECT after_value AS v FROM own UNION SELECT max_value FROM own UNION SELECT min_value FROM mig UNION SELECT max_value FROM mig) b
  WHERE v IS NOT NULL
), job AS (
  SELECT own.*, lo.rank AS lo, hi.rank AS hi FROM own
  JOIN bound hi ON hi.v = own.max_value LEFT JOIN bound lo ON lo.v = own.after_value
), range AS (
  SELECT mig.status, mig.min_value, mig.max_value, lo.rank AS lo, hi.rank AS hi
  FROM mig JOIN bound lo ON lo.v = mig.min_value JOIN bound hi ON hi.v = mig.max_value
)`, k.values("v"))
	all := []rule{
		{sql: `SELECT format('job %s covers (%s, %s], but the job before it ends at %s', id, coalesce(after_value, 'the start'), max_value, coalesce(before, 'the start'))
			FROM (SELECT *, lag(hi) OVER w AS ends, lag(max_value) OVER w AS before FROM job WINDOW w AS (ORDER BY hi, id)) laid WHERE lo IS DISTINCT FROM ends`},
		{sql: `SELECT format('job %s covers no key: (%s, %s]', id, after_value, max_value) FROM job WHERE lo >= hi`},
		{sql: `SELECT format('job %s ends at %s, outside of the range from %s to %s', job.id, job.max_value, range.min_value, range.max_value)
			FROM job, range WHERE job.hi > range.hi OR job.hi < range.lo`},
		{sql: `SELECT format('finished, but the jobs end at %s and the range at %s', coalesce((SELECT max_value FROM job ORDER BY hi DESC LIMIT 1), 'its start'), max_value)
			FROM range WHERE status = 'finished' AND hi IS DISTINCT FROM (SELECT max(hi) FROM job)`},
		{sql: `SELECT format('job %s is the first, and its first key is %s instead of %s', job.id, job.min_value, range.min_value)
			FROM job, range WHERE job.after_value IS NULL AND job.min_value <> range.min_value`},
		{sql: `SELECT format('job %s has the ordinal %s in place %s', id, ordinal, place)
			FROM (SELECT *, row_number() OVER (ORDER BY hi) AS place FROM job WHERE ordinal IS NOT NULL) chain WHERE ordinal <> place`},
	}
	for i := range all {
		all[i].invariant = invariant
		all[i].sql = jobs + all[i].sql
	}
	return all
}
