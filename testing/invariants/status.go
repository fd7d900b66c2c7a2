package invariants

// jobRules demand of the jobs what needs no key.
func jobRules() []rule {
	const (
		attempts = "I3 (attempts count)"
		stuck    = "I4 (no job is lost or stuck)"
		hidden   = "I6 (nothing hidden)"
		jobs     = " FROM bbm.batched_background_migration_jobs j JOIN bbm.batched_background_migrations m ON m.id = j.batched_background_migration_id WHERE m.id = $1 AND "
	)
	return []rule{
		{attempts, `SELECT format('job %s is finished after %s attempts, %s of them crashes', j.id, j.attempts, j.crashes)` + jobs +
			`j.status = 'finished' AND j.attempts <= j.crashes`},
		{attempts, `SELECT format('job %s met no error and took %s attempts', j.id, j.attempts)` + jobs +
			`j.status = 'finished' AND j.attempts <> 1 AND j.ordinal IS NOT NULL AND j.crashes = 0 AND j.transients = 0 AND j.error_message IS NULL`},
		{attempts, `SELECT format('job %s has %s crashes and no word of them', j.id, j.crashes)` + jobs + `j.crashes > 0 AND j.error_message IS NULL`},
		{stuck, `SELECT format('the migration is finished and job %s is %s', j.id, j.status)` + jobs + `m.status = 'finished' AND j.status <> 'finished'`},
		{stuck, `SELECT format('job %s is %s and has the owner %s', j.id, j.status, j.owner)` + jobs + `j.status <> 'running' AND j.owner IS NOT NULL`},
		{stuck, `SELECT format('job %s is finished and has no time of its end', j.id)` + jobs + `j.status = 'finished' AND j.finished_at IS NULL`},
		{hidden, `SELECT format('job %s has failed and does not say why', j.id)` + jobs + `j.status = 'failed' AND j.error_message IS NULL`},
	}
}

// statusRules demand that the migration's own row says what it has to, and that
// the audit is one unbroken line of possible changes that ends at the row's status.
func statusRules() []rule {
	const (
		hidden = "I6 (nothing hidden)"
		audit  = "the audit"
		line   = `WITH line AS (
  SELECT t.*, lag(to_status) OVER (ORDER BY t.id) AS before, lead(t.id) OVER (ORDER BY t.id) IS NULL AS latest, m.status
  FROM bbm.transitions t JOIN bbm.batched_background_migrations m ON m.id = t.batched_background_migration_id
  WHERE t.batched_background_migration_id = $1)`
	)
	return []rule{
		{hidden, `SELECT format('it is %s and does not say why', status) FROM bbm.batched_background_migrations WHERE id = $1 AND
			status = 'failed' AND (error_message IS NULL OR status_reason IS NULL)`},
		{hidden, `SELECT 'it is finished, and still says what went wrong: ' || error_message FROM bbm.batched_background_migrations
			WHERE id = $1 AND status = 'finished' AND error_message IS NOT NULL`},
		{audit, `SELECT format('it is %s since %s', status, finished_at) FROM bbm.batched_background_migrations
			WHERE id = $1 AND (status IN ('finished', 'failed', 'cancelled')) <> (finished_at IS NOT NULL)`},
		{audit, `SELECT 'there is no record of the migration' WHERE NOT EXISTS (SELECT FROM bbm.transitions WHERE batched_background_migration_id = $1)`},
		{audit, line + `SELECT format('record %s goes from %s, but the one before it went to %s', id, coalesce(from_status, 'nothing'), coalesce(before, 'nothing'))
			FROM line WHERE from_status IS DISTINCT FROM before`},
		{audit, line + `SELECT format('record %s goes from %s to %s, which is impossible', id, from_status, to_status)
			FROM line WHERE from_status IS NOT NULL AND NOT bbm.transition_is_possible(from_status, to_status)`},
		{audit, line + `SELECT format('record %s is the latest and went to %s, but the migration is %s', id, to_status, status) FROM line WHERE latest AND to_status <> status`},
	}
}
