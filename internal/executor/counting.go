package executor

import (
	"context"
	"sync"
	"time"
)

// countInterval is how often progress is counted while anything runs.
const countInterval = time.Second

// counting writes the workers' tallies to the control schema once a second,
// on the control pool, so that no batch waits for it.
type counting struct {
	e       *Executor
	mu      sync.Mutex
	workers map[*worker]bool // whether it has committed a batch
	first   chan struct{}    // a worker was added: begin to tick
}

func newCounting(e *Executor) *counting {
	return &counting{e: e, workers: make(map[*worker]bool), first: make(chan struct{}, 1)}
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

// remove counts what is left of a worker's tally, and reports whether it has committed a batch.
func (c *counting) remove(ctx context.Context, w *worker) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
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
		case <-ticker.C:
		}
		all := c.all()
		if len(all) == 0 {
			return
		}
		for _, w := range all {
			c.count(ctx, w)
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

func (c *counting) count(ctx context.Context, w *worker) {
	t := w.tally.take()
	if t.Batches == 0 {
		return
	}
	c.mu.Lock()
	c.workers[w] = true
	c.mu.Unlock()
	if s := w.sizer.Load(); s != nil {
		t.BatchSize, t.P90, t.Reason = s.report()
		t.Throttled = w.throttling()
	}
	o := c.e.opts
	percent, err := o.Store.Count(ctx, o.Pool, w.candidate.ID, w.epoch.Load(), w.candidate.Name, t)
	if err != nil {
		w.log.DebugContext(ctx, "progress not counted", "error", err) // a hint is lost, nothing else
		return
	}
	if percent != nil {
		o.Observer.Progressed(w.candidate.Name, *percent/100)
	}
	o.Observer.Throttled(w.candidate.Name, w.duty())
}
