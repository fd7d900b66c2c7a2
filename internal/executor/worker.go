package executor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/throttle"
	"github.com/bbmd-dev/bbmd/registry"
)

// worker processes batches of one migration, on one session, until there are none left that
// it may start, or it is told to stop.
type worker struct {
	opts      *Options
	settings  Settings
	barriers  *barriers
	candidate control.Candidate
	work      registry.Work
	log       *slog.Logger

	target   target
	session  *session
	tally    tally
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
	query    string       // of batches that are one statement; empty: they are code
	toldSize atomic.Int32 // of batches, to the log
}

// errLost ends a worker whose job was not its own any more when the fence was asked.
var errLost = errors.New("a job was not this worker's any more")

// stopping reports whether the worker was told to stop.
func (w *worker) stopping() bool {
	return w.soft.Err() != nil
}

// run works until nothing is left to start. Errors say how to go on: a
// [refusal] fails the migration, a [waiting] is looked at again, [errNoSlot] means that
// others are at it, anything else is tried again on a new session.
func (w *worker) run(ctx context.Context) error {
	var err error
	c := &w.candidate
	if err := w.lookAtTable(ctx); err != nil {
		return err
	}
	if !c.Started() {
		if err := w.preflight(ctx); err != nil {
			return err
		}
	}
	if err := w.beginThrottle(); err != nil {
		return err
	}
	defer w.endThrottle()
	if w.session, err = openSession(ctx, w.opts, c, w.settings); err != nil {
		return err
	}
	defer w.session.close(ctx)
	w.epoch.Store(w.session.epoch)
	w.place.Store(w.session.slot + 1)
	if a := w.activity.Load(); a != nil {
		a.Backends(w.session.pid) // whoever waits for its locks counts
	}
	return w.process(ctx)
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

// process starts the migration if need be and runs its batches in the form that the Work allows.
func (w *worker) process(ctx context.Context) error {
	plan, err := w.plan(ctx)
	if err != nil {
		return err
	}
	if err := w.pass(0); err != nil {
		return err
	}
	if w.candidate.Status == control.StatusActive {
		if started, err := w.start(ctx); err != nil || !started {
			return err
		}
	} else {
		// Unconditionally: somebody may have written one since the scan.
		if err := w.opts.Store.SetReason(ctx, w.opts.Pool, w.candidate.ID, ""); err != nil {
			return err
		}
	}
	if w.candidate.Processed() {
		return w.verify(ctx)
	}
	claims := &claimer{
		migration: w.candidate.ID, epoch: w.session.epoch, maxValue: value(w.candidate.MaxValue), blockTime: blockTime, first: inlineFirst, most: mostBatches,
		sizer: newSizer(limitsOf(w.candidate.Knobs, w.settings.TargetDuration), value(w.candidate.LastBatchSize)), target: w.settings.TargetDuration,
	}
	w.pause.Store(int64(w.candidate.Knobs.Pause))
	claims.follow = w.follow
	claims.claimed = w.claimed
	w.sizer.Store(claims.sizer)
	return w.batches(ctx, plan, &source{claims: claims, open: !w.candidate.ChainComplete, due: w.candidate.DueIn != nil && *w.candidate.DueIn <= 0})
}

// batches runs the migration's batches in the form that the plan gives them.
func (w *worker) batches(ctx context.Context, p plan, s *source) error {
	if w.target.null != "" {
		e := newExplicit(w, s, p.run)
		e.nulls = &nulls{worker: w}
		return e.run(ctx)
	}
	if err := prepareClaim(ctx, w.session.conn, w.opts.Store, w.target.lookups(p.wantStart)); err != nil {
		return err
	}
	if p.run != nil || w.target.scattered() {
		ahead, err := w.lookAhead(ctx, s.claims, p.wantStart)
		if err != nil {
			return err
		}
		defer ahead.close(ctx)
		s.ahead = ahead
	}
	if p.run != nil {
		return newExplicit(w, s, p.run).run(ctx)
	}
	return newPipelined(w, s, p).run(ctx)
}

// start makes an active migration running. It reports false when there is nothing to process.
func (w *worker) start(ctx context.Context) (bool, error) {
	c, store, pool := &w.candidate, w.opts.Store, w.opts.Pool
	var ok bool
	var err error
	if c.Started() {
		ok, err = store.GoOn(ctx, pool, c.ID)
	} else {
		if w.target.null == "" {
			if c.MinValue, c.MaxValue, err = w.target.bounds(ctx, pool, c); err != nil {
				return false, err
			}
		}
		if c.MaxValue == nil && w.target.null == "" {
			ended, err := store.FinishEmpty(ctx, pool, c.ID)
			if ended {
				w.log.InfoContext(ctx, "migration finished: no rows in its range")
				w.opts.Observer.MigrationEnded(c.Name, control.StatusFinished)
			}
			return false, err
		}
		ok, err = store.Start(ctx, pool, c.ID, w.recordable())
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == uniqueViolation {
		return false, &waiting{reason: "waits for another migration that is running on " + w.target.table}
	}
	if ok {
		w.log.InfoContext(ctx, "migration running", "table", w.target.table, "min_value", value(c.MinValue), "max_value", value(c.MaxValue), "batch_size", c.Knobs.BatchSize)
	}
	return ok, err
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
// to run. It stops when none is left or the worker is told to.
func (w *worker) careful(ctx context.Context, run func(context.Context, *control.Job) error) error {
	for !w.stopping() {
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

// lookAhead opens the worker's second connection, of the same owner: nobody may take it for
// dead while either lives.
func (w *worker) lookAhead(ctx context.Context, claims *claimer, wantStart bool) (*lookAhead, error) {
	conn, _, err := prepareConn(ctx, w.opts, w.candidate.Name, w.settings)
	if err != nil {
		return nil, err
	}
	shared, err := w.opts.Store.ShareEpoch(ctx, conn, w.session.epoch)
	if err == nil && !shared {
		err = errLost
	}
	if err == nil {
		err = prepareClaim(ctx, conn, w.opts.Store, w.target.lookups(wantStart))
	}
	if err != nil {
		closeConn(ctx, conn)
		return nil, err
	}
	return startLookAhead(ctx, conn, claims, w.target.scattered()), nil
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
