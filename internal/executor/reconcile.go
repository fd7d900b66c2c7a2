package executor

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/throttle"
)

// reconcileTimeout bounds one scan and what follows from it, so that a server
// which does not answer cannot hold the event loop.
const reconcileTimeout = 15 * time.Second

// settleTimeout bounds what is done about migrations that were stopped, before the event loop goes on.
const settleTimeout = 5 * time.Second

// reconcile compares the control schema with what this process does, and
// returns when to do so again; 0: not before an event.
func (e *Executor) reconcile(ctx, hard context.Context, tallies *counting) (time.Duration, error) {
	settings := *e.settings.Load()
	bounded, cancel := context.WithTimeout(ctx, reconcileTimeout)
	defer cancel()
	if !settings.Enabled {
		return 0, e.rest(bounded, settings.OffReason)
	}
	e.off = false
	began, woken := time.Now(), e.woken.Swap(0)
	q, err := e.scan(bounded)
	queue := q.all
	if err != nil {
		if e.opts.Tracer != nil {
			e.traceReconcile(ctx, began, 0, 0, err)
		}
		return 0, err
	}
	took := time.Since(began)
	e.listed(q)
	e.recall(q, settings)
	e.report(e.open(bounded, q), began, woken, took)
	if again, err := e.tidy(bounded, queue); err != nil || again {
		return time.Millisecond, err
	}
	e.release(q)
	d := decide(queue, e.situation())
	e.noteLock(queue)
	if err := e.explain(bounded, queue, q.told(d.reasons)); err != nil {
		return 0, err
	}
	for _, a := range d.begin {
		e.begin(hard, a, settings, tallies)
	}
	e.staffed(nil)
	e.began(len(d.begin), woken)
	if e.settle(ctx, q.stopped) {
		d.wakeWithin(settings.TakeoverInterval) // whoever is at their last batches may die
	}
	e.log.DebugContext(ctx, "looked for work", "migrations", len(queue), "workers", len(e.workers), "begun", len(d.begin), "took", took, "look_in", d.wake)
	if e.opts.Tracer != nil {
		e.traceReconcile(ctx, began, len(queue), len(d.begin), nil)
	}
	return d.wake, nil
}

func (e *Executor) report(byStatus map[string]int, began time.Time, woken int64, took time.Duration) {
	var wake time.Duration
	if woken != 0 {
		wake = max(0, began.Sub(e.made)-time.Duration(woken))
	}
	e.opts.Observer.Reconciled(byStatus, took, wake)
}

// recall tells workers to stop whose migration is not running any more, and
// those that are too many.
func (e *Executor) recall(q queue, settings Settings) {
	queue := q.all
	byID := make(map[int32]*control.Candidate, len(queue))
	for i := range queue {
		byID[queue[i].ID] = &queue[i]
	}
	working := make(map[int32]int32)
	total := 0
	for r := range e.workers {
		if r.told || r.over.Load() {
			continue
		}
		c := byID[r.candidate.ID]
		working[r.candidate.ID]++
		total++
		switch {
		case c == nil && !q.part:
			e.stop(r, "its migration is not running any more")
		case c != nil && c.TableReplaced:
			e.stop(r, "its table was replaced")
		case total > settings.Workers:
			e.stop(r, "fewer workers are configured")
		case e.replaced(r, c):
			e.stop(r, "its Work was replaced")
		case c != nil && max(r.place.Load(), working[c.ID]) > c.Parallelism: // a place is one among those of all replicas
			e.stop(r, "its migration's parallelism is lower")
		}
	}
	for id := range e.again {
		if byID[id] == nil && !q.part {
			delete(e.again, id)
			delete(e.errors, id)
		}
	}
}

// tidy takes over the jobs of dead owners and finishes what is done. It reports
// whether it changed what was scanned.
func (e *Executor) tidy(ctx context.Context, queue []control.Candidate) (again bool, err error) {
	epochs := e.epochs()
	for i := range queue {
		c := &queue[i]
		if c.Done() {
			finished, err := e.finish(ctx, c)
			if err != nil {
				return false, err
			}
			again = again || finished
		}
		took, err := e.takeOver(ctx, c, epochs)
		if err != nil {
			return false, err
		}
		again = again || took
	}
	return again, nil
}

// takeOver takes over the jobs of a migration's dead owners, and reports whether there were any. The epochs are this process's own.
func (e *Executor) takeOver(ctx context.Context, c *control.Candidate, epochs []int32) (took bool, err error) {
	for _, owner := range c.Owners {
		if slices.Contains(epochs, owner) {
			continue
		}
		jobs, alive, err := e.opts.Store.TakeOver(ctx, e.opts.Pool, c.ID, owner)
		if err != nil {
			return took, err
		}
		if !alive && jobs > 0 {
			e.log.InfoContext(ctx, "took over the jobs of a dead worker", "migration", c.Name, "owner", owner, "jobs", jobs)
			e.opts.Observer.TookOver(c.Name, jobs)
			took = true
		}
	}
	return took, nil
}

// settle takes over the jobs of dead owners in migrations that were stopped, so that nothing there stays running of nobody: whoever
// pauses one may wait for that. It reports whether somebody's are left, who may die yet. Where that cannot be done all others go on.
func (e *Executor) settle(ctx context.Context, stopped []control.Candidate) (left bool) {
	bounded, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	epochs := e.epochs()
	left = len(stopped) >= control.ScanLimit // and there may be more
	for i := range stopped {
		c := &stopped[i]
		settled, err := e.settleOne(bounded, c, epochs)
		if err != nil && ctx.Err() == nil && !e.unsettled[c.ID] {
			e.log.WarnContext(ctx, "stopped migration not settled", "migration", c.Name, "error", err)
			e.unsettled[c.ID] = true // the first time says it all
		}
		if settled {
			delete(e.unsettled, c.ID)
		}
		if bounded.Err() != nil {
			return true // the rest at the next look
		}
		left = left || !settled
	}
	return left
}

func (e *Executor) settleOne(ctx context.Context, c *control.Candidate, epochs []int32) (settled bool, err error) {
	if _, err := e.takeOver(ctx, c, epochs); err != nil {
		return false, err
	}
	if c.SlotsHeld > 0 { // a worker that has yet to hear of it, or is at its last batches
		return false, nil
	}
	return e.opts.Store.Settle(ctx, e.opts.Pool, c.ID)
}

// finish makes a migration finished if nothing of it is left, and reports whether this call did it.
func (e *Executor) finish(ctx context.Context, c *control.Candidate) (bool, error) {
	finished, err := e.opts.Store.Finish(ctx, e.opts.Pool, c.ID)
	if finished {
		e.tellFinished(ctx, c)
	}
	return finished, err
}

func (e *Executor) tellFinished(ctx context.Context, c *control.Candidate) {
	e.log.InfoContext(ctx, "migration finished", "migration", c.Name)
	e.opts.Observer.MigrationEnded(c.Name, control.StatusFinished)
}

// finishBehind spares the last worker of a migration the scan that would find it done, and reports whether it was. Others may be
// at its last batches: then they, or a scan, finish it.
func (e *Executor) finishBehind(ctx context.Context, w *worker) bool {
	if w.work.Verify != nil || w.candidate.Unverified || w.target.null != "" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, reconcileTimeout)
	defer cancel()
	finished, err := e.opts.Store.Finish(ctx, e.opts.Pool, w.candidate.ID)
	if err != nil {
		w.log.DebugContext(ctx, "end of the migration not looked for", "error", err)
	}
	return finished
}

// begin starts a worker's goroutine.
func (e *Executor) begin(ctx context.Context, a assignment, settings Settings, tallies *counting) {
	soft, tell := context.WithCancel(ctx)
	r := &running{began: time.Now(), worker: &worker{
		opts: &e.opts, spares: e.spares, settings: settings, barriers: &e.barriers, candidate: a.candidate, work: a.work,
		log: e.log.With("migration", a.candidate.Name, "work", a.work.Name), soft: soft, tell: tell,
		throttle: e.throttle,
	}}
	e.workers[r] = struct{}{}
	r.log.DebugContext(ctx, "worker begins", "status", a.candidate.Status, "workers", len(e.workers))
	r.nearEnd = func() { tallies.ahead(r.worker) }
	tallies.add(r.worker)
	go func() {
		r.err = r.run(ctx)
		r.over.Store(true)
		r.progress = tallies.remove(context.WithoutCancel(ctx), r.worker)
		if r.err == nil && r.through && !r.stopping() {
			r.last = e.finishBehind(ctx, r.worker)
		}
		r.closing.Wait()
		if r.stopping() {
			e.handOver(context.WithoutCancel(ctx), r.worker)
		}
		e.ended <- r
	}()
}

// handOver tells other replicas that jobs and a slot are free, when a worker was stopped.
func (e *Executor) handOver(ctx context.Context, w *worker) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := e.opts.Store.Wake(ctx, e.opts.Pool); err != nil {
		w.log.DebugContext(ctx, "hand-over not announced", "error", err)
	}
}

// release lets migrations go on that the throttle does not keep back any more,
// follows the throttle of the rows of the others, and forgets those that are over.
func (e *Executor) release(q queue) {
	queue := q.all
	defer func() { e.holding.Store(len(e.held) > 0) }()
	for id, kept := range e.held {
		i := slices.IndexFunc(queue, func(c control.Candidate) bool { return c.ID == id })
		if i < 0 && !q.part || kept.activity.Verdict().Action != throttle.Stop {
			kept.activity.End()
			delete(e.held, id)
			continue
		}
		if i < 0 {
			continue
		}
		if override := value(queue[i].Knobs.Throttle); override != kept.override {
			kept.override = override
			if err := kept.activity.Override(json.RawMessage(override)); err != nil {
				e.log.Warn("throttle of the migration stays as it was", "migration", queue[i].Name, "error", err)
			}
		}
	}
}

func (e *Executor) mine() map[int32]int {
	mine := make(map[int32]int)
	for r := range e.workers {
		mine[r.candidate.ID]++
	}
	return mine
}

// epochs returns the epochs of the sessions of this process.
func (e *Executor) epochs() []int32 {
	var all []int32
	for r := range e.workers {
		if epoch := r.epoch.Load(); epoch != 0 {
			all = append(all, epoch)
		}
	}
	return all
}

func nameOf(queue []control.Candidate, id int32) string {
	i := slices.IndexFunc(queue, func(c control.Candidate) bool { return c.ID == id })
	if i < 0 {
		return ""
	}
	return queue[i].Name
}
