package control

import (
	"context"
	"fmt"
	"time"
)

// JobState is what a job's row says, for people. Its names in JSON are the
// columns'.
type JobState struct {
	ID         int64   `json:"id"`
	Ordinal    *int64  `json:"ordinal"`     // place in the chain; nil: the lower half of a split job
	After      *string `json:"after_value"` // exclusive; nil: the first job, which begins with the migration's smallest key
	Min        *string `json:"min_value"`   // first key in range, where it was looked up
	Max        string  `json:"max_value"`   // inclusive
	BatchSize  int32   `json:"batch_size"`
	Status     string  `json:"status"` // running, pending, finished or failed
	Attempts   int32   `json:"attempts"`
	Crashes    int32   `json:"crashes"`    // of the attempts, those that ended with their worker's session
	Transients int32   `json:"transients"` // failures that did not count as attempts
	Error      *string `json:"error_message"`
	SQLState   *string `json:"error_sqlstate"`

	// SecondsUntilNextAttempt is set for pending jobs; not positive: now.
	SecondsUntilNextAttempt *float64   `json:"seconds_until_next_attempt"`
	StartedAt               *time.Time `json:"started_at"` // nil: half of a job that was split, not tried yet
	FinishedAt              *time.Time `json:"finished_at"`
}

// Untried reports whether the job is half of one that was split, and has not been tried
// yet: its error and its attempts are those of the whole.
func (j JobState) Untried() bool { return j.Status == "pending" && j.StartedAt == nil }

// secondsUntilNextAttempt makes a JobState of a job's row j.
const secondsUntilNextAttempt = `CASE WHEN j.status = 'pending' THEN extract(epoch FROM j.next_attempt_at - clock_timestamp())::float8 END AS seconds_until_next_attempt`

const openJobsSQL = `
SELECT coalesce(json_agg(t ORDER BY t.rank, t.id), '[]') FROM (
  SELECT j.*, array_position('{failed,pending,running}', j.status) AS rank, ` + secondsUntilNextAttempt + `
  FROM ` + openJobsOf + ` j ORDER BY rank, id LIMIT $2) t`

// OpenJobs returns jobs of a migration that are not finished, at most limit:
// the failed ones first, then the pending, then the running ones.
func (s Store) OpenJobs(ctx context.Context, db DB, migration int32, limit int) ([]JobState, error) {
	var jobs []JobState
	if err := db.QueryRow(ctx, s.sql(openJobsSQL), migration, limit).Scan(&jobs); err != nil {
		return nil, fmt.Errorf("read the open jobs of migration %d: %w", migration, err)
	}
	return jobs, nil
}
