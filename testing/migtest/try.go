package migtest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// Result is what became of one check.
type Result struct {
	Check   string
	Passed  bool
	Skipped bool          // the case has nothing for it
	Says    []string      // why it failed or was skipped
	Took    time.Duration // the making of its database included
}

// Interruptions end, at points that they choose, what a Work runs in: the program
// of a plugin.
type Interruptions interface {
	// Record calls run and returns the names of the points that it passes.
	Record(run func()) (points []string)

	// At calls run and interrupts once, at the n-th point, counted from 0. It
	// returns whether run came to that.
	At(n int, run func()) (met bool)
}

// besides is how many checks run beside each other.
const besides = 4

// Try tries a case's Work as [Run] does, outside of go test. It calls report for
// each check, in their order, and returns whether none has failed; the error says
// why none could be tried. Where interruptions are not nil, the migration is run
// once for every point at which they interrupt, and has to come to the same end.
func Try(ctx context.Context, c Case, interruptions Interruptions, report func(Result)) (passed bool, err error) {
	if err := c.complete(); err != nil {
		return false, err
	}
	t := attempt{ctx: ctx, report: report, passed: true}
	var reference outcome
	t.tell(t.check(firstCheck, func(tb testing.TB) { newTrial(tb, &c, nil).oneBatch(&reference) }))
	if !t.passed {
		return false, nil // all else would fail for the same reason
	}
	all := checks(&c)
	results := make([]chan Result, len(all))
	places := make(chan struct{}, besides)
	var running sync.WaitGroup
	for i, check := range all {
		results[i] = make(chan Result, 1)
		running.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			results[i] <- t.check(check.name, func(tb testing.TB) { check.run(newTrial(tb, &c, &reference)) })
		})
	}
	for _, result := range results {
		t.tell(<-result)
	}
	running.Wait()
	t.tell(t.check(executorCheck, func(tb testing.TB) { newControlTrial(tb, &c, &reference).executor() }))
	if interruptions != nil && t.passed {
		t.interrupt(&c, &reference, interruptions)
	}
	return t.passed, context.Cause(ctx)
}

// attempt is one Try.
type attempt struct {
	ctx    context.Context //nolint:containedctx // it lives as long as one call
	report func(Result)
	passed bool
}

func (t *attempt) tell(r Result) {
	t.passed = t.passed && r.Passed
	t.report(r)
}

// check runs one check.
func (t *attempt) check(name string, run func(testing.TB)) Result {
	began := time.Now()
	a := newApart(t.ctx, name)
	a.run(run)
	return Result{Check: name, Passed: !a.failed, Skipped: a.skipped, Says: a.says, Took: time.Since(began)}
}

// interrupt runs the migration in batches one after the other, so that the points are
// the same ones every time, and ends what they run in at each.
func (t *attempt) interrupt(c *Case, reference *outcome, by Interruptions) {
	alone := *c
	alone.Alone = true
	whole := func(tb testing.TB, of string) func() {
		return func() { newControlTrial(tb, &alone, reference).undisturbed(of) }
	}
	var points []string
	t.tell(t.check("points", func(tb testing.TB) { points = by.Record(whole(tb, "the executor")) }))
	for n, point := range points {
		if !t.passed || t.ctx.Err() != nil {
			return
		}
		t.tell(t.check(fmt.Sprintf("ended at %d, %s", n+1, point), func(tb testing.TB) {
			if !by.At(n, whole(tb, "where its program ends: every row has to be processed by exactly one batch that is committed")) {
				tb.Skip("the run did not come to this point")
			}
		}))
	}
}
