package control

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// The outcomes of a run.
const (
	OutcomeRunning     = "running"
	OutcomeFinished    = "finished"
	OutcomeFailed      = "failed"
	OutcomeInterrupted = "interrupted" // it was told to end, or ended without saying so
)

// Run is one run that changed the database's schema, or tried to: a row of
// bbm.runs and its steps. Its names in JSON are the table's.
type Run struct {
	ID          int64           `json:"id"`
	Action      string          `json:"action"`
	Outcome     string          `json:"outcome"` // one of the Outcome constants
	StateBefore string          `json:"state_before"`
	Tool        *string         `json:"tool"`
	From        []string        `json:"from_versions"`
	To          []string        `json:"to_versions"`
	Reason      *string         `json:"reason"` // why it was started, where somebody said so
	Plan        json.RawMessage `json:"plan"`
	Log         string          `json:"log"` // its end, where it is long
	Error       *string         `json:"error_message"`
	SQLState    *string         `json:"error_sqlstate"`
	File        *string         `json:"error_file"`
	Line        *int32          `json:"error_line"`
	Hint        *string         `json:"error_hint"`
	Host        string          `json:"host"`
	BackendPID  int32           `json:"backend_pid"` // the session that held the lock
	Version     *string         `json:"bbmd_version"`
	Who         string          `json:"who"`
	StartedAt   time.Time       `json:"started_at"`
	FinishedAt  *time.Time      `json:"finished_at"` // nil: it runs, or was killed and nobody has noticed yet
	Steps       []RunStep       `json:"steps"`
	Indexes     []uint32        `json:"-"` // oids of the indexes that were there before it
}

// RunStep is one thing that a run did.
type RunStep struct {
	Ordinal       int32      `json:"ordinal"`
	Does          string     `json:"does"`
	Version       *string    `json:"version"`
	Name          *string    `json:"name"`
	File          *string    `json:"file"`
	Transactional bool       `json:"transactional"`
	Attempts      int32      `json:"attempts"`
	StartedAt     time.Time  `json:"started_at"`
	FinishedAt    *time.Time `json:"finished_at"` // nil: it failed, was interrupted, or runs
}

// RunStart is what is known of a run before it begins. Action, StateBefore,
// Plan, Host and BackendPID are required.
type RunStart struct {
	Action, StateBefore string
	Tool, Reason        string // may be empty
	From, To            []string
	Plan                json.RawMessage
	Host, Version       string
	BackendPID          uint32
}

// The indexes that are there now are remembered, to tell from them those that a run leaves half done.
const beginRunSQL = `
INSERT INTO bbm.runs (action, state_before, tool, reason, from_versions, to_versions, plan, host, bbmd_version, backend_pid, indexes)
VALUES ($1, $2, nullif($3, ''), nullif($4, ''), coalesce($5::text[], '{}'), coalesce($6::text[], '{}'), $7, $8, nullif($9, ''), $10,
  ARRAY(SELECT oid FROM pg_catalog.pg_class WHERE relkind IN ('i', 'I') AND oid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace))
RETURNING id`

// BeginRun records that a run begins, and returns its number.
func (s Store) BeginRun(ctx context.Context, db DB, r RunStart) (int64, error) {
	var id int64
	err := db.QueryRow(ctx, s.sql(beginRunSQL), r.Action, r.StateBefore, r.Tool, r.Reason, r.From, r.To, r.Plan, r.Host, r.Version, int32(r.BackendPID)).Scan(&id) //nolint:gosec // process numbers fit
	if err != nil {
		return 0, fmt.Errorf("record run: %w", err)
	}
	return id, nil
}

// MaxRunLog is how many characters of a run's log are kept: the last ones.
const MaxRunLog = 1 << 20

// LogRun adds text to a run's log.
func (s Store) LogRun(ctx context.Context, db DB, run int64, text string) error {
	_, err := db.Exec(ctx, s.sql("UPDATE bbm.runs SET log = right(log || $2, $3) WHERE id = $1"), run, text, MaxRunLog)
	if err != nil {
		return fmt.Errorf("record the log of run %d: %w", run, err)
	}
	return nil
}

// RunFailure is why a run failed. Message is required.
type RunFailure struct {
	Message, SQLState, File, Hint string
	Line                          int
}

const endRunSQL = `
UPDATE bbm.runs SET outcome = $2, to_versions = coalesce($3::text[], to_versions), error_message = nullif($4, ''), error_sqlstate = nullif($5, ''),
  error_file = nullif($6, ''), error_line = nullif($7, 0), error_hint = nullif($8, ''), finished_at = clock_timestamp()
WHERE id = $1 AND outcome = 'running'`

// FinishRun records that a run led to the versions to.
func (s Store) FinishRun(ctx context.Context, db DB, run int64, to []string) error {
	if to == nil {
		to = []string{}
	}
	return s.endRun(ctx, db, run, OutcomeFinished, to, RunFailure{})
}

// FailRun records that a run has failed.
func (s Store) FailRun(ctx context.Context, db DB, run int64, why RunFailure) error {
	return s.endRun(ctx, db, run, OutcomeFailed, nil, why)
}

// InterruptRun records that a run was interrupted, and says so itself.
func (s Store) InterruptRun(ctx context.Context, db DB, run int64, why RunFailure) error {
	return s.endRun(ctx, db, run, OutcomeInterrupted, nil, why)
}

func (s Store) endRun(ctx context.Context, db DB, run int64, outcome string, to []string, why RunFailure) error {
	_, err := db.Exec(ctx, s.sql(endRunSQL), run, outcome, to, why.Message, why.SQLState, why.File, why.Line, why.Hint)
	if err != nil {
		return fmt.Errorf("record the end of run %d: %w", run, err)
	}
	return nil
}

// InterruptRuns records of all runs that seem to be running that they were
// interrupted, and returns their numbers. Only who holds the lock of [Store.TrySchemaLock] may
// call it: nobody else can be at work then.
func (s Store) InterruptRuns(ctx context.Context, db DB) ([]int64, error) {
	rows, err := db.Query(ctx, s.sql(`UPDATE bbm.runs SET outcome = 'interrupted', finished_at = clock_timestamp(),
		error_message = 'its process, or the session that held its lock, ended without saying so' WHERE outcome = 'running' RETURNING id`))
	if err != nil {
		return nil, fmt.Errorf("record interrupted runs: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("record interrupted runs: %w", err)
	}
	return ids, nil
}

// TidyRuns does what [Store.InterruptRuns] does, unless somebody is at work.
func (s Store) TidyRuns(ctx context.Context, db TxDB) (ids []int64, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		var nobody bool
		if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1::int, 0)", Once, lockSchema).Scan(&nobody); err != nil || !nobody {
			return err
		}
		var err error
		ids, err = s.InterruptRuns(ctx, tx)
		return err
	})
	return ids, err
}

const runsSQL = `
SELECT r.id, r.action, r.outcome, r.state_before, r.tool, r.from_versions, r.to_versions, r.reason, r.plan, CASE WHEN $2 THEN r.log ELSE '' END,
  r.error_message, r.error_sqlstate, r.error_file, r.error_line, r.error_hint, r.host, r.backend_pid, r.bbmd_version, r.who,
  r.started_at, r.finished_at, s.steps, r.indexes
FROM (SELECT * FROM bbm.runs WHERE @which@ ORDER BY id DESC LIMIT $1) r
CROSS JOIN LATERAL (SELECT coalesce(jsonb_agg(to_jsonb(s) ORDER BY s.ordinal), '[]') AS steps FROM bbm.run_steps s WHERE s.run_id = r.id) s
ORDER BY r.id DESC`

// Runs returns the last runs, at most limit of them, the latest first.
func (s Store) Runs(ctx context.Context, db DB, limit int) ([]Run, error) {
	return s.runs(ctx, db, limit, true)
}

// RunsWithoutLog is [Store.Runs] without their logs, which are long.
func (s Store) RunsWithoutLog(ctx context.Context, db DB, limit int) ([]Run, error) {
	return s.runs(ctx, db, limit, false)
}

func (s Store) runs(ctx context.Context, db DB, limit int, log bool) ([]Run, error) {
	return s.selectRuns(ctx, db, "true", limit, log)
}

// selectRuns reads runs for which the condition holds; its parameters begin at $3.
func (s Store) selectRuns(ctx context.Context, db DB, which string, limit int, log bool, args ...any) ([]Run, error) {
	rows, err := db.Query(ctx, s.sql(strings.ReplaceAll(runsSQL, "@which@", which)), append([]any{Once, limit, log}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	runs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Run])
	if err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	return runs, nil
}
