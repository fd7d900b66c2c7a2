package control

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// BatchDB is a connection, a pool or a transaction: what takes several statements in one round trip.
type BatchDB interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// RunMove is how a run gets on: what it was doing is done, or something else begins, or both.
type RunMove struct {
	Ended   *RunStepEnd   // nil: nothing has ended
	Started *RunStepStart // nil: nothing begins
}

// RunStepEnd is a step that is done. Ordinal is required.
type RunStepEnd struct {
	Ordinal int32
	Tool    string        // under which Files are recorded
	Files   []AppliedFile // what the step's files are, as for [Store.RecordApplied]
}

// RunStepStart is a step that begins, or is tried again.
type RunStepStart struct {
	Step   RunStep  // Ordinal, Does, Version, Name, File and Transactional are used
	Tool   string   // under which Forget are recorded
	Forget []string // versions whose files of before do not count any more, as for [Store.ForgetApplied]
}

const startRunStepSQL = `
INSERT INTO bbm.run_steps AS s (run_id, ordinal, does, version, name, file, transactional)
VALUES ($1, $2, $3, nullif($4, ''), nullif($5, ''), nullif($6, ''), $7)
ON CONFLICT (run_id, ordinal) DO UPDATE SET attempts = s.attempts + 1`

const finishRunStepSQL = "UPDATE bbm.run_steps SET finished_at = clock_timestamp() WHERE run_id = $1 AND ordinal = $2"

// MoveRun records how a run gets on, all of it or nothing, in one round trip.
func (s Store) MoveRun(ctx context.Context, db BatchDB, run int64, move RunMove) error {
	batch := new(pgx.Batch)
	if e := move.Ended; e != nil {
		if len(e.Files) > 0 {
			batch.Queue(s.sql(recordAppliedSQL), recordAppliedArgs(e.Tool, run, e.Files)...)
		}
		batch.Queue(s.sql(finishRunStepSQL), run, e.Ordinal)
	}
	if b := move.Started; b != nil {
		if len(b.Forget) > 0 {
			batch.Queue(s.sql(forgetAppliedSQL), b.Tool, b.Forget)
		}
		batch.Queue(s.sql(startRunStepSQL), run, b.Step.Ordinal, b.Step.Does, b.Step.Version, b.Step.Name, b.Step.File, b.Step.Transactional)
	}
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("record the steps of run %d: %w", run, err)
	}
	return nil
}
