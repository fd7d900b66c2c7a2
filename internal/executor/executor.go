package executor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/throttle"
)

// Executor runs the background migrations of one database.
type Executor struct {
	opts     Options
	log      *slog.Logger
	settings atomic.Pointer[Settings]
	wake     chan struct{} // one event is as good as many
	made     time.Time     // what the two below count from: a step of the machine's clock changes nothing about them
	woken    atomic.Int64  // when the wake flag was first set, by elapsed; 0: it is not
	busy     atomic.Int64  // since when a reconcile is under way, by elapsed; 0: none is
	problem  atomic.Pointer[error]
	locked   atomic.Pointer[error] // see LockInUse
	throttle *throttle.Sampler
	spares   *spares
	holding  atomic.Bool // the throttle keeps some migration back

	// What follows belongs to the goroutine of Run.
	workers   map[*running]struct{}
	ended     chan *running
	barriers  barriers
	again     map[int32]time.Time  // not before: after an error, or while something is waited for
	errors    map[int32]int        // errors in a row, by migration
	held      map[int32]*throttled // migrations that the throttle keeps back
	unsettled map[int32]bool       // stopped migrations of which the log says that they could not be settled
	failures  int                  // reconciles that failed in a row
	off       bool                 // the last reconcile found the executor switched off
	counted   time.Time            // see open
	count     map[string]int       // as of then
}

// running is a worker and its goroutine.
type running struct {
	*worker
	began    time.Time
	told     bool        // to stop
	over     atomic.Bool // there is nothing to tell it any more
	err      error
	progress bool // at least one batch was committed
}

// New returns an executor that does nothing before [Executor.Run].
func New(opts Options) *Executor {
	if opts.Observer == nil {
		opts.Observer = NoObserver{}
	}
	e := &Executor{
		opts: opts, log: opts.Logger.With("database", opts.Database), made: time.Now(), spares: newSpares(opts.Database),
		wake: make(chan struct{}, 1), workers: make(map[*running]struct{}), ended: make(chan *running),
		barriers: barriers{all: make(map[int32]*barrier)}, again: make(map[int32]time.Time), errors: make(map[int32]int), held: make(map[int32]*throttled), unsettled: make(map[int32]bool),
	}
	off := throttle.Default()
	off.Enabled = false
	e.throttle = throttle.New(throttle.Options{
		DB: opts.Pool, Config: off, Logger: e.log,
		OnChange: func(migration string, v throttle.Verdict) {
			e.opts.Observer.Throttled(migration, v.Signal, v.Duty)
			if e.holding.Load() && v.Action != throttle.Stop {
				e.Wake()
			}
		},
	})
	e.Configure(opts.Settings)
	return e
}

// Configure changes the settings. What it says holds from the next scan on,
// which happens at once.
func (e *Executor) Configure(s Settings) {
	s.Workers, s.MaxAttempts = max(s.Workers, 1), max(s.MaxAttempts, 1)
	if s.Throttle != nil {
		if err := e.throttle.Configure(*s.Throttle); err != nil {
			e.log.Warn("throttle stays as it was", "error", err)
		}
	}
	e.settings.Store(&s)
	e.Wake()
}

// Wake makes the executor look once more. It never blocks; a wake during a scan causes
// exactly one more.
func (e *Executor) Wake() {
	e.woken.CompareAndSwap(0, e.elapsed())
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Err returns the error of the last scan, or nil if it succeeded.
func (e *Executor) Err() error {
	if p := e.problem.Load(); p != nil {
		return *p
	}
	return nil
}

// Stuck returns for how long the event loop has been busy with one and the same
// scan, or with the end of one worker; 0: it waits for events.
func (e *Executor) Stuck() time.Duration {
	if since := e.busy.Load(); since != 0 {
		return time.Duration(e.elapsed() - since)
	}
	return 0
}

// elapsed is the time in nanoseconds since the executor was made, and never 0.
func (e *Executor) elapsed() int64 { return max(int64(time.Since(e.made)), 1) }

// Run scans at every wake and works until ctx ends. Then it lets running batches
// finish for the grace that the settings give, cancels what is left, gives its jobs back, and
// returns the context's cause.
func (e *Executor) Run(ctx context.Context) error {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	counting, stopCounting := context.WithCancel(hard)
	var counters sync.WaitGroup
	tallies := newCounting(e)
	counters.Go(func() { tallies.run(counting) })
	counters.Go(func() { _ = e.throttle.Run(counting) }) // it only ends with its context
	defer e.spares.close(hard)
	defer counters.Wait()
	defer stopCounting()

	timer := time.NewTimer(0)
	timer.Stop()
	defer timer.Stop()
	e.Wake()
	for {
		select {
		case <-ctx.Done():
			e.drain(ctx, cancel)
			return context.Cause(ctx)
		case r := <-e.ended:
			e.busy.Store(e.elapsed()) // until the look that follows has ended
			e.reap(hard, r)
		case <-e.wake:
		case <-timer.C:
		}
		timer.Stop()
		if next := e.look(ctx, hard, tallies); next > 0 {
			timer.Reset(next)
		}
	}
}

// look reconciles, and returns when to do so again; 0: not before an event.
func (e *Executor) look(ctx, hard context.Context, tallies *counting) time.Duration {
	e.busy.Store(e.elapsed())
	defer e.busy.Store(0)
	select { // this look answers all wakes until now
	case <-e.wake:
	default:
	}
	next, err := e.reconcile(ctx, hard, tallies)
	if ctx.Err() != nil {
		return 0
	}
	if err == nil {
		if e.failures > 0 {
			e.log.InfoContext(ctx, "database reachable again")
		}
		e.failures = 0
		e.problem.Store(nil)
		return next
	}
	e.failures++
	e.problem.Store(&err)
	e.opts.Observer.ScanFailed()
	wait := delay(e.failures)
	level := slog.LevelDebug // the first of an outage says it all
	if e.failures == 1 {
		level = slog.LevelWarn
	}
	e.log.Log(ctx, level, "migrations not read", "error", err, "retry_in", wait.Round(time.Millisecond))
	return wait
}

// reap takes note of how a worker ended.
func (e *Executor) reap(ctx context.Context, r *running) {
	ctx, cancel := context.WithTimeout(ctx, reconcileTimeout)
	defer cancel()
	delete(e.workers, r)
	id := r.candidate.ID
	e.staffed(r)
	if r.last {
		e.tellFinished(ctx, &r.candidate)
	}
	if r.progress {
		delete(e.errors, id)
	}
	var refused *refusal
	var wait *waiting
	var kept *throttled
	switch err := r.err; {
	case err == nil:
		delete(e.again, id)
		delete(e.errors, id)
	case errors.Is(err, errNoSlot): // the next scan sees who holds it
	case errors.As(err, &refused):
		e.fail(ctx, r, refused)
	case errors.As(err, &wait):
		e.hold(ctx, r, wait)
	case errors.As(err, &kept):
		e.keep(ctx, r, kept)
	case errors.Is(err, errNotDirect), errors.Is(err, errReadOnly):
		e.hold(ctx, r, &waiting{reason: err.Error(), again: longestDelay})
	default:
		e.backOff(ctx, r)
	}
	r.log.DebugContext(ctx, "worker ended", "took", time.Since(r.began).Round(time.Millisecond), "reason", r.err)
}

func (e *Executor) fail(ctx context.Context, r *running, refused *refusal) {
	reason := refused.reason
	ok, err := e.opts.Store.Fail(ctx, e.opts.Pool, r.candidate.ID, reason)
	if err != nil {
		r.err = err
		e.backOff(ctx, r)
		return
	}
	if ok {
		r.log.ErrorContext(ctx, "migration failed", "error", reason.Message, "sqlstate", reason.SQLState)
		e.opts.Observer.MigrationFailed(r.failure(refused))
		e.opts.Observer.MigrationEnded(r.candidate.Name, control.StatusFailed)
	}
}

func (e *Executor) hold(ctx context.Context, r *running, w *waiting) {
	if w.again > 0 {
		e.again[r.candidate.ID] = time.Now().Add(w.again)
	} else {
		e.again[r.candidate.ID] = time.Now().Add(e.settings.Load().TakeoverInterval)
	}
	if err := e.opts.Store.SetReason(ctx, e.opts.Pool, r.candidate.ID, w.reason); err != nil {
		r.log.WarnContext(ctx, "reason not recorded", "error", err)
	}
}

// keep holds a migration back until its throttle says otherwise. One that only the clock will let
// go on leaves its table to others meanwhile.
func (e *Executor) keep(ctx context.Context, r *running, t *throttled) {
	id, reason := r.candidate.ID, t.Error()
	if e.held[id] == nil {
		e.held[id] = t
		e.holding.Store(true)
	} else {
		t.activity.End()
	}
	r.log.InfoContext(ctx, "migration held back", "reason", reason)
	e.opts.Observer.Throttled(r.candidate.Name, t.verdict.Signal, 0)
	var err error
	if t.verdict.Until.IsZero() {
		err = e.opts.Store.SetReason(ctx, e.opts.Pool, id, reason)
	} else {
		err = e.opts.Store.Hold(ctx, e.opts.Pool, id, reason)
	}
	if err != nil {
		r.log.WarnContext(ctx, "reason not recorded", "error", err)
	}
}

// backOff waits longer after every error in a row. A look-up that the server
// refuses again and again fails the migration in the end; anything else is tried
// for ever, and the row says what is wrong.
func (e *Executor) backOff(ctx context.Context, r *running) {
	id := r.candidate.ID
	e.errors[id]++
	n := e.errors[id]
	var claim *claimError
	if n >= int(r.maxAttempts()) && errors.As(r.err, &claim) && !transient(r.err) {
		f := describe(claim.err)
		delete(e.errors, id)
		e.fail(ctx, r, &refusal{reason: control.Reason{
			Code: control.CodeUnknown, SQLState: f.SQLState,
			Message: fmt.Sprintf("the next batches could not be cut (on the index of %s): %s", r.target.table, f.Message),
		}})
		return
	}
	wait := delay(n)
	e.again[id] = time.Now().Add(wait)
	level := slog.LevelWarn
	if errors.Is(r.err, errLost) {
		level = slog.LevelInfo // somebody cancelled the migration, or took this worker for dead
	}
	r.log.Log(ctx, level, "worker stopped by an error", "error", r.err, "retry_in", wait.Round(time.Millisecond))
	full := outOfRoom(r.err)
	if (n > 1 || full) && !connectionLost(r.err) {
		reason := "a worker stopped and is tried again: "
		if full {
			reason = "waits for room on the server's disk: "
		}
		if err := e.opts.Store.SetReason(ctx, e.opts.Pool, id, reason+describe(r.err).Message); err != nil {
			r.log.DebugContext(ctx, "reason not recorded", "error", err)
		}
	}
}

// drain tells all workers to stop and waits for them, at most for the grace;
// then it cancels them and waits for that.
func (e *Executor) drain(ctx context.Context, cancel context.CancelFunc) {
	ctx = context.WithoutCancel(ctx)
	for r := range e.workers {
		e.tell(r)
	}
	grace := time.NewTimer(e.settings.Load().ShutdownGrace)
	defer grace.Stop()
	for len(e.workers) > 0 {
		select {
		case r := <-e.ended:
			delete(e.workers, r)
			e.staffed(r)
			if r.last {
				e.tellFinished(ctx, &r.candidate)
			}
			if refused, ok := errors.AsType[*refusal](r.err); ok {
				e.fail(ctx, r, refused)
			}
		case <-grace.C:
			e.log.WarnContext(ctx, "batches did not finish in time and are cancelled", "workers", len(e.workers), "grace", e.settings.Load().ShutdownGrace)
			cancel()
		}
	}
}

func (e *Executor) tell(r *running) {
	if !r.told {
		r.told = true
		r.tell()
	}
}
