package executor

import (
	"context"
	"time"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// listed tells the observer which migrations there are, unless the scan may have left some out.
func (e *Executor) listed(q queue) {
	if q.part {
		return
	}
	queue := q.all
	names := make([]string, len(queue))
	for i := range queue {
		names[i] = queue[i].Name
	}
	e.opts.Observer.Listed(names)
}

// staffed tells the observer how many workers are at work, and that a migration has none
// any more when ended was its last; nil: none has ended.
func (e *Executor) staffed(ended *running) {
	e.opts.Observer.Staffed(len(e.workers), e.settings.Load().Workers)
	if ended == nil {
		return
	}
	for r := range e.workers {
		if r.candidate.ID == ended.candidate.ID {
			return
		}
	}
	e.opts.Observer.Rested(ended.candidate.Name)
}

// began tells the observer that workers have begun, because of a wake at woken; 0: of a timer.
func (e *Executor) began(workers int, woken int64) {
	if workers == 0 {
		return
	}
	var wake time.Duration
	if woken != 0 {
		wake = time.Duration(e.elapsed() - woken)
	}
	e.opts.Observer.Began(workers, wake)
}

// failure describes why a migration has failed, without data.
func (w *worker) failure(r *refusal) MigrationFailure {
	f := MigrationFailure{
		Migration: w.candidate.Name, Work: w.candidate.Work, Table: w.target.table,
		Code: r.reason.Code, SQLState: r.reason.SQLState, Job: r.reason.Job,
	}
	if r.job != nil && w.target.identifying() {
		f.Range = rangeOf(r.job)
	}
	return f
}

// identifying reports whether keys only say which rows are meant: a text may be somebody's
// name or address.
func (t target) identifying() bool {
	for _, c := range t.key {
		switch c.Type {
		case "bigint", "integer", "smallint", "uuid":
		default:
			return false
		}
	}
	return true
}

// explain writes why migrations wait, where the rows do not say so already.
func (e *Executor) explain(ctx context.Context, queue []control.Candidate, reasons map[int32]string) error {
	if len(reasons) == 0 {
		return nil
	}
	changed, err := e.opts.Store.SetReasons(ctx, e.opts.Pool, reasons)
	if err != nil {
		return err
	}
	names := make(map[string]bool, len(changed))
	for _, name := range changed {
		names[name] = true
	}
	for i := range queue {
		if c := &queue[i]; names[c.Name] {
			e.log.InfoContext(ctx, "migration waits", "migration", c.Name, "reason", reasons[c.ID])
		}
	}
	return nil
}

// rest tells all workers to stop, because the executor is switched off, and says so
// of the migrations that wait: once for each, at the event that may have brought it.
func (e *Executor) rest(ctx context.Context, reason string) error {
	for r := range e.workers {
		e.tell(r)
	}
	if reason == "" {
		return nil
	}
	if !e.off {
		e.log.InfoContext(ctx, "background migrations are switched off")
		e.off = true
	}
	changed, err := e.opts.Store.SayOff(ctx, e.opts.Pool, reason)
	for _, name := range changed {
		e.log.InfoContext(ctx, "migration waits", "migration", name, "reason", reason)
	}
	return err
}

// stop tells a worker to stop, and says why.
func (e *Executor) stop(r *running, reason string) {
	if !r.told {
		r.log.InfoContext(r.soft, "worker is told to stop", "reason", reason)
	}
	e.tell(r)
}

// resize tells of a batch size that has changed, and why.
func (w *worker) resize(ctx context.Context, t *control.Tally) {
	if before := w.toldSize.Swap(t.BatchSize); before != t.BatchSize && t.BatchSize > 0 {
		w.log.DebugContext(ctx, "batch size changed", "batch_size", t.BatchSize, "before", before, "p90", round(t.P90), "reason", t.Reason)
	}
}

// progressed tells of how far a worker's migration is: the observer each time, the log at
// every tenth of the way.
func (c *counting) progressed(ctx context.Context, w *worker, percent float64) {
	c.e.opts.Observer.Progressed(w.candidate.Name, percent/100)
	c.mu.Lock()
	tenth := int(percent / 10)
	news := tenth > c.tenths[w.candidate.ID] && percent < 100 // the end has a line of its own
	c.tenths[w.candidate.ID] = max(tenth, c.tenths[w.candidate.ID])
	c.mu.Unlock()
	if news {
		w.log.InfoContext(ctx, "migration progresses", "percent", int(percent))
	}
}
