package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// errNoAnswer is the result of a check that has not returned in time.
var errNoAnswer = errors.New("no answer in time")

// result is what a check said.
type result struct {
	name string
	err  error
	took time.Duration
}

// probe is the set of checks of one endpoint.
type probe struct {
	mu     sync.Mutex
	checks []*guarded
}

func (p *probe) add(checks ...Check) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, check := range checks {
		p.checks = append(p.checks, &guarded{check: check})
	}
}

func (p *probe) all() []*guarded {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.checks)
}

// run asks all checks at once, and returns their results by name.
func (p *probe) run(ctx context.Context, timeout time.Duration) []result {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	checks := p.all()
	asked := make([]*call, len(checks))
	for i, check := range checks {
		asked[i] = check.ask(ctx, timeout)
	}
	results := make([]result, len(checks))
	for i, check := range checks {
		results[i] = result{name: check.check.Name(), err: asked[i].wait(ctx), took: time.Since(asked[i].started)}
	}
	slices.SortStableFunc(results, func(a, b result) int { return cmp.Compare(a.name, b.name) })
	return results
}

// drain waits until no check is running, or ctx ends.
func (p *probe) drain(ctx context.Context) {
	for _, check := range p.all() {
		if running := check.running(); running != nil {
			_ = running.wait(ctx) // whatever it says, nobody asks any more
		}
	}
}

// guarded is a check that runs at most once at a time, so that one that hangs
// costs one goroutine, however often it is probed.
type guarded struct {
	check   Check
	mu      sync.Mutex
	current *call
}

// call is one run of a check.
type call struct {
	started time.Time
	done    chan struct{}
	err     error // once done is closed
}

// ask joins the run that is going on, or starts one.
func (g *guarded) ask(ctx context.Context, timeout time.Duration) *call {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.current == nil {
		g.current = &call{started: time.Now(), done: make(chan struct{})}
		// Others may join: whoever asked first may go without stopping it.
		go g.run(context.WithoutCancel(ctx), timeout, g.current)
	}
	return g.current
}

func (g *guarded) run(ctx context.Context, timeout time.Duration, c *call) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c.err = safely(ctx, g.check)
	g.mu.Lock()
	g.current = nil
	g.mu.Unlock()
	close(c.done)
}

func (g *guarded) running() *call {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.current
}

// wait returns what the check said, or [errNoAnswer] when ctx ends first.
func (c *call) wait(ctx context.Context) error {
	select {
	case <-c.done:
		return c.err
	default:
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return errNoAnswer
	}
}

// safely turns a panic into an error: a broken check must not end the process
// that it watches.
func safely(ctx context.Context, check Check) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("the check panicked: %v", reason)
		}
	}()
	return check.Check(ctx)
}
