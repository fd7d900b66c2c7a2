package rehearsal

import (
	"context"
	"fmt"
	"time"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/executor"
)

// Options say what to try.
type Options struct {
	// Batches is how many are tried. 0: none, only the plan and the table are looked at.
	Batches int
	// Size is the keys of each. 0: the first half has as many as the migration
	// says, and the rest as many as take its target duration.
	Size int32
	// Workers is how many may be at the migration at a time.
	Workers int
	// Duty is the share of the time that the configured throttle leaves each worker beside others.
	Duty float64
}

// stage is a rehearsal under way.
type stage struct {
	*executor.Rehearsal

	subject executor.Subject
	opts    Options
	report  *Report
	spread  executor.Spread
	rows    int64 // that are left, before trials make the table grow; not above 0: nobody knows
	guess   bool  // that is only what a sample of the table's blocks says
	size    int32 // of the next batch
	passed  []sample
	scanned map[string]int64 // rows read by sequential scans, by table
}

// sample is a batch that passed.
type sample struct {
	size int32
	keys int64
	took time.Duration // by one worker: the Work, and the look-up where nobody does it ahead
	work time.Duration
}

// Run rehearses a migration. The error is one that ended the rehearsal; what
// is wrong with the migration is in the report.
func Run(ctx context.Context, r *executor.Rehearsal, c control.Candidate, opts Options) (*Report, error) {
	s := &stage{
		Rehearsal: r, subject: r.Subject(), opts: opts, size: opts.Size, scanned: make(map[string]int64),
		report: &Report{Migration: c.Name, Work: c.Work, Key: []string{}, Findings: []Finding{}, Batches: []Batch{}, Writes: []Write{}},
	}
	s.report.Table = s.subject.Table
	for _, column := range s.subject.Key {
		s.report.Key = append(s.report.Key, column.Name)
	}
	if s.size == 0 {
		s.size = s.subject.Limits.Start
	}
	if s.subject.Statement != nil {
		s.report.Statement = s.subject.Statement.Text()
	}
	for _, part := range []func(context.Context) error{s.explain, s.tryAll, s.judge, s.project} {
		if err := part(ctx); err != nil {
			return nil, err
		}
	}
	return s.report, nil
}

// tryAll tries batches that lie spread over what is left.
func (s *stage) tryAll(ctx context.Context) error {
	if !s.subject.Left {
		s.report.add(Note, "range", "no row is left in its range: it would finish at once", "")
		return nil
	}
	places, err := s.places(ctx)
	if err != nil {
		return err
	}
	if err := s.left(ctx); err != nil {
		return err
	}
	for i, after := range places {
		if i == (len(places)+1)/2 {
			s.steer()
		}
		if err := s.try(ctx, after); err != nil {
			return err
		}
	}
	return nil
}

// places returns the keys behind which batches are tried. nil is where the migration goes on.
func (s *stage) places(ctx context.Context) ([]*string, error) {
	if s.opts.Batches == 0 {
		return nil, nil
	}
	if s.subject.Null != "" {
		s.report.add(Note, "range", "the batches tried have all the same rows, since any rows do whose "+s.subject.Null+" is NULL", "")
		return make([]*string, s.opts.Batches), nil
	}
	var err error
	if s.spread, err = s.Spread(ctx, s.opts.Batches); err != nil {
		return nil, err
	}
	if len(s.spread.Keys) == 0 {
		return []*string{nil}, nil
	}
	places := make([]*string, len(s.spread.Keys))
	for i := range s.spread.Keys {
		places[i] = &s.spread.Keys[i]
	}
	places[0] = nil // the migration's own next batch
	return places, nil
}

// steer changes the size to what takes the target duration, as the executor's sizing would.
func (s *stage) steer() {
	if target := s.subject.Limits.Target; s.opts.Size == 0 && target > 0 && len(s.passed) > 0 {
		s.size = s.sized(target)
	}
}

// sized is the size whose batches take that long, for what was measured of the last one.
func (s *stage) sized(target time.Duration) int32 {
	l := s.subject.Limits
	last := s.lastSize()
	took := p90(last)
	size := float64(last[0].size) * float64(target) / float64(max(took, time.Microsecond))
	return int32(min(max(size, float64(l.Least)), float64(max(l.Most, l.Least))))
}

// lastSize are the samples of the size that was tried last.
func (s *stage) lastSize() []sample {
	n := len(s.passed)
	for i := n - 1; i >= 0; i-- {
		if s.passed[i].size != s.passed[n-1].size {
			return s.passed[i+1:]
		}
	}
	return s.passed
}

func (s *stage) try(ctx context.Context, after *string) error {
	draft, err := s.Cut(ctx, after, s.size)
	if err != nil || draft == nil {
		return err
	}
	m := &meter{target: s.subject.OID}
	trial, err := s.Try(ctx, draft, executor.Probe{Before: m.before, After: m.after})
	if err != nil {
		return fmt.Errorf("try %s: %w", where(draft.Job), err)
	}
	b := Batch{
		After: draft.Job.After, End: draft.Job.End, Keys: draft.Keys, Rows: trial.Rows, Failure: trial.Failure,
		Milliseconds: milliseconds(trial.Took + trial.Late), LookupMS: milliseconds(draft.Lookup),
	}
	if trial.Failure == nil {
		b.WALBytes, b.HOTShare = m.wal, m.hotShare()
		s.merge(m.writes)
		work := trial.Took + trial.Late
		took := work + draft.Lookup
		if s.subject.Ahead {
			took = max(work, draft.Lookup)
		}
		s.passed = append(s.passed, sample{size: s.size, keys: draft.Keys, took: took, work: work})
	} else {
		s.failed(draft, trial.Failure)
	}
	s.report.Batches = append(s.report.Batches, b)
	return nil
}

const queryCanceled = "57014"

// failed says what has failed a batch. One that took too long makes the next ones smaller, as it would a worker's.
func (s *stage) failed(d *executor.Draft, f *control.Failure) {
	text := fmt.Sprintf("%s: %s", where(d.Job), f.Message)
	if f.SQLState != "" {
		text += " (SQLSTATE " + f.SQLState + ")"
	}
	switch {
	case f.SQLState == queryCanceled:
		s.report.add(Warn, "batch", text, fmt.Sprintf("%d keys are too many for statement_timeout: the executor would split the batch; begin with a smaller batch_size", d.Keys))
		s.size = max(s.size/10, 1)
	case f.Transient:
		s.report.add(Warn, "batch", text, "it would be tried again; who holds the locks?")
	default:
		s.report.add(Fail, "batch", text, "mend it first, or let max_quarantined set such rows aside")
	}
}

func where(j control.Job) string {
	switch {
	case j.End == "":
		return "a batch"
	case j.After == nil:
		return "keys up to " + j.End
	default:
		return "keys after " + *j.After + " up to " + j.End
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
