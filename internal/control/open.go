package control

// openJobs are the jobs of a migration m that are not finished, as a subquery that stands
// beside m. It never reads the index of the open jobs from its beginning: for as long as some session
// holds an old snapshot, that index keeps every job which has finished since. Jobs that are running
// as they were first claimed are looked for from the mark on that the counters hold (see [Store.Count]):
// their ids only grow, and who was pending once is claimed alone. All others are in
// indexes where a job that never failed has never been.
const openJobs = `LATERAL (
  SELECT * FROM bbm.batched_background_migration_jobs WHERE batched_background_migration_id = m.id AND status = 'pending'
  UNION ALL
  SELECT * FROM bbm.batched_background_migration_jobs
  WHERE batched_background_migration_id = m.id AND (status = 'failed' OR status = 'running' AND careful)
  UNION ALL
  SELECT * FROM bbm.batched_background_migration_jobs WHERE batched_background_migration_id = m.id AND status = 'running' AND NOT careful
    AND id >= (SELECT coalesce(max(running_from), 0) FROM bbm.counters WHERE batched_background_migration_id = m.id) -- no join: a condition of the index
)`

// openJobsOf is [openJobs] of the migration whose id is the first parameter.
const openJobsOf = `(SELECT $1::int AS id) m CROSS JOIN ` + openJobs
