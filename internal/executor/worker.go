package executor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/throttle"
	"github.com/bbmd-dev/bbmd/registry"
)

// worker processes batches of one migration, on one session, until there are none left that
// it may start, or it is told to stop.
type worker struct {
	opts      *Options
	spares    *spares
	settings  Settings
	barriers  *barriers
	candidate control.Candidate
	work      registry.Work
	log       *slog.Logger

	target   target
	session  *session
	closing  sync.WaitGroup // while the session is ended
	through  bool           // nothing was left to start
	last     bool           // and it has made the migration finished
	tally    tally
	counted  sync.Mutex      // held while a tally is counted
	nearEnd  func()          // is told that few batches are left
	soft     context.Context // ends when the worker is to finish what was sent and give the rest back
	tell     context.CancelFunc
	throttle *throttle.Sampler
	activity atomic.Pointer[throttle.Activity] // nil: not throttled, or not begun
	pause    atomic.Int64                      // nanoseconds of rest after each batch
	override string                            // of the throttle, as last seen on the row
	epoch    atomic.Int32                      // 0: no session yet
	place    atomic.Int32                      // number of its slot, counted from 1; 0: no session yet
	sizer    atomic.Pointer[sizer]             // nil: no session yet
	rate     failureRate
	given    [2]*string   // the ends of the range that the row names, once bounded
	bounded  time.Time    // when the range in candidate was computed; zero: it is the row's
	query    string       // of batches that are one statement; empty: they are code
	toldSize atomic.Int32 // of batches, to the log
}

// errLost ends a worker whose job was not its own any more when the fence was asked.
var errLost = errors.New("a job was not this worker's any more")

// stopping reports whether the worker was told to stop.
func (w *worker) stopping() bool {
	return w.soft.Err() != nil
}

// lookAtTable looks the migration's table and key up.
func (w *worker) lookAtTable(ctx context.Context) error {
	c, look := &w.candidate, inspect
	if c.Strategy == control.StrategyNull {
		look = inspectNull
	}
	var err error
	if w.target, err = look(ctx, w.opts.Pool, c.Table, parseColumns(c.Columns)); err != nil {
		return err
	}
	return w.target.changed(c)
}

// preflight checks what can be checked before a migration starts, and waits for the writers
// whose rows it might miss.
func (w *worker) preflight(ctx context.Context) error {
	if err := w.examine(ctx); err != nil {
		return err
	}
	return w.barriers.pass(ctx, w.opts.Pool, w.candidate.ID, w.target.oid)
}

// examine lets the Work check its arguments, and what it finds in the database.
func (w *worker) examine(ctx context.Context) error {
	if err := guarded(ctx, w.log, func() error { return w.work.ValidateArguments(w.candidate.Arguments) }); err != nil {
		return refuse(control.CodeWork, "arguments of %s: %v", w.work.Name, err)
	}
	if w.work.Check == nil {
		return nil
	}
	conn, err := w.opts.Pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	err = orConnection(conn.Conn(), guarded(ctx, w.log, func() error { return w.work.Check(ctx, conn.Conn(), w.migration()) }))
	if err == nil || transient(err) || ctx.Err() != nil {
		return err
	}
	return &refusal{reason: control.Reason{Code: control.CodeWork, SQLState: describe(err).SQLState, Message: fmt.Sprintf("%s cannot run: %v", w.work.Name, err)}}
}

// migration is what the Work sees of the migration.
func (w *worker) migration() registry.Migration {
	return registry.Migration{Name: w.candidate.Name, Table: w.target.table, Key: w.target.key, Arguments: w.candidate.Arguments}
}

func (w *worker) recordable() control.Target {
	t := control.Target{
		Table: w.target.table, OID: w.target.oid, Collation: w.target.collation, WorkVersion: w.work.Version, WorkDigest: w.work.Digest,
		Tuples: unknownRows, MinValue: w.candidate.MinValue, MaxValue: w.candidate.MaxValue,
		Verify: w.work.Verify != nil && w.target.null == "", // there the predicate itself tells
	}
	if w.target.null != "" && w.target.tuples > 0 { // 0: the index was never counted
		t.Tuples = w.target.tuples
	}
	for _, c := range w.target.key {
		t.KeyColumns, t.KeyTypes = append(t.KeyColumns, c.Name), append(t.KeyTypes, c.Type)
	}
	return t
}

func (w *worker) maxAttempts() int32 {
	if w.candidate.MaxAttempts != nil {
		return *w.candidate.MaxAttempts
	}
	return int32(min(w.settings.MaxAttempts, 100)) //nolint:gosec // bounded by 100
}

// careful claims the pending jobs that are due, one at a time, and hands each
// to run. It stops when none is left or the worker is told to; or when some have failed again, while there are jobs that
// nobody has tried: where everything fails, those shall not wait for ever behind what is tried again.
func (w *worker) careful(ctx context.Context, s *source, run func(context.Context, *control.Job) error) error {
	s.due, s.later = false, false
	for failed := 0; !w.stopping(); {
		if err := w.pass(0); err != nil {
			return err
		}
		j, err := w.opts.Store.ClaimCarefully(ctx, w.session.conn, w.candidate.ID, w.session.epoch)
		if err != nil || j == nil {
			return err
		}
		if j.Attempts > w.maxAttempts() || j.Crashes >= maxCrashes {
			if again, err := w.afterCrashes(ctx, j); err != nil {
				return err
			} else if again {
				continue
			}
		}
		if err := run(ctx, j); err != nil {
			return err
		}
		if s.due { // it has failed
			s.due = false
			failed++
		}
		if s.later = failed == mostRetries && !s.drained(); s.later {
			return nil // a claim, or a failure, makes it due again
		}
	}
	return nil
}

// giveBack makes what the worker has claimed and not started pending again.
func (w *worker) giveBack(ctx context.Context) error {
	n, err := w.opts.Store.GiveBack(ctx, w.session.conn, w.candidate.ID, w.session.epoch)
	if n > 0 {
		w.log.DebugContext(ctx, "jobs given back", "jobs", n)
	}
	return err
}

// finished accounts for a batch that was committed.
func (w *worker) finished(o outcome) {
	if !o.job.Careful {
		w.rate.tried++
	}
	w.rate.missing = 0
	w.tally.finished(o.job, o.rows, float32(o.took.Seconds()*1000), o.recorded)
	w.opts.Observer.BatchDone(w.candidate.Name, "finished", o.rows, o.took)
}

// batch is what the Work sees of a job.
func (w *worker) batch(j *control.Job) registry.Batch {
	b := registry.Batch{
		Migration: w.candidate.Name, Table: w.target.table, Key: w.target.key, Arguments: w.candidate.Arguments,
		First: j.After == nil, End: j.End, Size: int(j.BatchSize), Attempt: int(max(j.Attempts, 1)),
	}
	if j.First != nil {
		b.Start = *j.First
	}
	if j.After != nil {
		b.After = *j.After
	} else {
		b.After = b.Start
	}
	return b
}

var _ pgx.Tx = (*handle)(nil)

// value returns what p points to, or the zero value for nil.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
