package executor

import (
	"context"
	"maps"
	"sync"
	"time"
)

const (
	// countInterval is how often progress is counted while anything runs.
	countInterval = time.Second
	// countTimeout bounds a count: somebody may hold a lock on the migration's row.
	countTimeout = 5 * time.Second
	// reviseInterval is how often the rows of a migration are estimated anew while it runs.
	reviseInterval = 2 * time.Second
)

// counting writes the workers' tallies to the control schema once a second,
// on the control pool, so that no batch waits for it.
type counting struct {
	e       *Executor
	mu      sync.Mutex
	workers map[*worker]bool // whether it has committed a batch
	first   chan struct{}    // a worker was added: begin to tick
	ending  chan *worker     // is at its last batches
	sized   map[int32]bool   // migrations whose rows were estimated, for the first time
	revised map[int32]time.Time
	tenths  map[int32]int // of the way, that the log was told of
}

func newCounting(e *Executor) *counting {
	return &counting{e: e, workers: make(map[*worker]bool), first: make(chan struct{}, 1), ending: make(chan *worker, 1), sized: make(map[int32]bool), revised: make(map[int32]time.Time), tenths: make(map[int32]int)}
}

func (c *counting) add(w *worker) {
	c.mu.Lock()
	c.workers[w] = false
	c.mu.Unlock()
	select {
	case c.first <- struct{}{}:
	default:
	}
}

// worthCounting is how many batches a worker has to have done for a count of its own, beside its last ones.
const worthCounting = 32

// ahead counts a worker's tally while its last batches run, so that the end of the migration does not wait for much of that.
// It does not wait itself.
func (c *counting) ahead(w *worker) {
	if w.tally.batches() < worthCounting {
		return
	}
	select {
	case c.ending <- w:
	default: // it is busy counting
	}
}

// remove counts what is left of a worker's tally, and reports whether it has committed a batch.
func (c *counting) remove(ctx context.Context, w *worker) bool {
	c.count(ctx, w)
	c.mu.Lock()
	defer c.mu.Unlock()
	progress := c.workers[w]
	delete(c.workers, w)
	return progress
}

// run ticks while there are workers.
func (c *counting) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.first:
		}
		c.tick(ctx)
	}
}

func (c *counting) tick(ctx context.Context) {
	ticker := time.NewTicker(countInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case w := <-c.ending:
			c.count(ctx, w)
			continue
		case <-ticker.C:
		}
		all := c.all()
		if len(all) == 0 {
			c.mu.Lock()
			clear(c.tenths)
			c.mu.Unlock()
			return
		}
		for _, w := range all {
			if !w.tally.empty() {
				c.size(ctx, w)
			}
			if c.count(ctx, w) {
				c.revise(ctx, w)
			}
		}
	}
}

func (c *counting) all() []*worker {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*worker, 0, len(c.workers))
	for w := range c.workers {
		all = append(all, w)
	}
	return all
}

// count writes a worker's tally, and reports whether there was anything to count.
func (c *counting) count(ctx context.Context, w *worker) bool {
	w.counted.Lock() // who finds the tally empty knows that all of it is in the counters
	defer w.counted.Unlock()
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	t := w.tally.take()
	if t.Batches == 0 {
		return false
	}
	c.mu.Lock()
	c.workers[w] = true
	c.mu.Unlock()
	if s := w.sizer.Load(); s != nil {
		t.BatchSize, t.P90, t.Reason = s.report()
		t.Throttled = w.throttling()
	}
	o := c.e.opts
	o.Observer.Counted(w.candidate.Name, Count{Keys: t.Keys, BatchSize: t.BatchSize, P90: t.P90})
	percent, err := o.Store.Count(ctx, o.Pool, w.candidate.ID, w.epoch.Load(), w.candidate.Name, t)
	if err != nil {
		w.log.DebugContext(ctx, "progress not counted", "error", err) // a hint is lost, nothing else
		return false
	}
	w.resize(ctx, &t)
	if percent != nil {
		c.progressed(ctx, w, *percent)
	}
	v := w.verdict()
	o.Observer.Throttled(w.candidate.Name, v.Signal, v.Duty)
	return true
}

// uncounted is how many keys the workers of a migration have finished that are in no counter yet: on a busy
// machine that may be the work of many seconds.
func (c *counting) uncounted(migration int32) (keys int64) {
	for _, w := range c.all() {
		if w.candidate.ID == migration {
			keys += w.tally.keys()
		}
	}
	return keys
}

// size estimates the rows of a worker's migration for the first time, so that its
// percentage is right from the beginning. Only the goroutine that ticks calls it.
func (c *counting) size(ctx context.Context, w *worker) {
	if c.sized[w.candidate.ID] {
		return
	}
	c.sized[w.candidate.ID] = true
	if err := w.size(ctx); err != nil {
		w.log.DebugContext(ctx, "rows not estimated", "error", err) // progress is less exact, nothing else
	}
}

// revise estimates the rows of a worker's migration anew, if that is due. Only
// the goroutine that ticks calls it.
func (c *counting) revise(ctx context.Context, w *worker) {
	now := time.Now()
	if now.Sub(c.revised[w.candidate.ID]) < reviseInterval {
		return
	}
	maps.DeleteFunc(c.revised, func(_ int32, at time.Time) bool { return now.Sub(at) > reviseInterval })
	c.revised[w.candidate.ID] = now
	if err := w.revise(ctx, c.uncounted(w.candidate.ID)); err != nil {
		w.log.DebugContext(ctx, "rows not estimated", "error", err) // progress is less exact, nothing else
	}
}
