package initialize

import (
	"context"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/history"
)

// start records that something begins, or is tried again.
func (r *record) start(ctx context.Context, step Planned, transactional bool) error {
	return r.move(ctx, nil, &begun{step: step, transactional: transactional})
}

// finish records that what was started last is done.
func (r *record) finish(ctx context.Context) error { return r.move(ctx, &ended{}, nil) }

// do records a step around what it does.
func (r *record) do(ctx context.Context, step Planned, what func() error) error {
	if err := r.start(ctx, step, true); err != nil {
		return err
	}
	if err := what(); err != nil {
		return err
	}
	return r.finish(ctx)
}

// ended is the end of what was started last.
type ended struct {
	history string // under which checksums are recorded
	files   []control.AppliedFile
}

// begun is the beginning of something, or another attempt at it.
type begun struct {
	step          Planned
	transactional bool
	history       string
	forget        []string // versions whose files of before do not count any more
}

// move records how the run gets on, in one round trip. Either may be nil.
func (r *record) move(ctx context.Context, end *ended, start *begun) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var move control.RunMove
	if end != nil {
		move.Ended = &control.RunStepEnd{Ordinal: r.ordinal, Tool: end.history, Files: end.files}
		r.over(ctx)
		if err := r.say(ctx); err != nil {
			return err
		}
	}
	if start != nil {
		move.Started = r.begins(*start)
	}
	return r.write(ctx, func(ctx context.Context, db *pgx.Conn) error { return r.store.MoveRun(ctx, db, r.run, move) })
}

// over takes note that what was started last is done. The caller holds the mutex.
func (r *record) over(ctx context.Context) {
	r.running = false
	done := Done{Planned: r.step, Seconds: time.Since(r.since).Seconds()}
	r.done = append(r.done, done)
	r.logger.InfoContext(ctx, "step done", "run", r.run, "does", done.Does, "version", done.Version, "name", done.Name, "took", time.Since(r.since).Round(time.Millisecond))
}

// begins takes note of what begins. The caller holds the mutex.
func (r *record) begins(b begun) *control.RunStepStart {
	if !r.running || r.step != b.step {
		r.step, r.running, r.since = b.step, true, time.Now()
		r.ordinal++
	}
	row := control.RunStep{
		Ordinal: r.ordinal, Does: b.step.Does, Version: &b.step.Version, Name: &b.step.Name, File: &b.step.File, Transactional: b.transactional,
	}
	return &control.RunStepStart{Step: row, Tool: b.history, Forget: b.forget}
}

// steps is the watcher of a run's own database: it records steps, and what their files were.
type steps struct {
	record  *record
	history string // under which checksums are recorded
}

var _ watcher = steps{}

func (s steps) started(ctx context.Context, step history.Step) error {
	return s.record.move(ctx, nil, s.begun(step))
}

func (s steps) done(ctx context.Context, step history.Step) error {
	return s.record.move(ctx, s.ended(step), nil)
}

func (s steps) next(ctx context.Context, done, step history.Step) error {
	return s.record.move(ctx, s.ended(done), s.begun(step))
}

func (s steps) begun(step history.Step) *begun {
	return &begun{
		step:          Planned{Does: doesMigrate, Version: step.Version, Name: step.Name, File: step.File},
		transactional: step.Transactional, history: s.history,
		forget: []string{step.Version}, // what the file was when an earlier run applied it, before it was taken back
	}
}

func (s steps) ended(step history.Step) *ended {
	return &ended{history: s.history, files: checksums([]history.Step{step})}
}

// checksums are those of steps that have a file.
func checksums(all []history.Step) []control.AppliedFile {
	var files []control.AppliedFile
	for _, step := range all {
		if step.Checksum != "" {
			files = append(files, control.AppliedFile{Version: step.Version, File: filepath.Base(step.File), Checksum: step.Checksum})
		}
	}
	return files
}

// unwatched is the watcher of a shadow.
type unwatched struct{}

var _ watcher = unwatched{}

func (unwatched) started(context.Context, history.Step) error            { return nil }
func (unwatched) done(context.Context, history.Step) error               { return nil }
func (unwatched) next(context.Context, history.Step, history.Step) error { return nil }
