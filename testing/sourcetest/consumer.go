package sourcetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/notify"
)

// patience is how long anything that has to happen may take, on a busy machine.
const patience = 60 * time.Second

// errOver is the cause with which the tests end a source.
var errOver = errors.New("the test is over")

// consumer runs a source and does with its events what an executor does.
type consumer struct {
	url    string
	gate   *gate         // in front of each scan, if not nil
	cancel func(error)   // ends the source
	done   chan struct{} // closed when source and scanner have ended
	flag   *notify.Flag

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced when anything below changes
	events   []notify.Event
	scans    int
	seen     int   // the last change that a scan has read
	scanErr  error // of the last scan
	result   error // of Run
	returned bool
	late     bool // something was delivered after Run returned
}

// gate holds up scans, to make a consumer slow.
type gate struct{ entered, released chan struct{} }

func newGate() *gate { return &gate{entered: make(chan struct{}), released: make(chan struct{})} }

// pass is the scan's side.
func (g *gate) pass(ctx context.Context) {
	select {
	case g.entered <- struct{}{}:
	case <-ctx.Done():
		return
	}
	select {
	case <-g.released:
	case <-ctx.Done():
	}
}

// hold waits until a scan is at the gate, and keeps it there.
func (g *gate) hold(t *testing.T) {
	t.Helper()
	select {
	case <-g.entered:
	case <-time.After(patience):
		require.FailNow(t, "no scan begins")
	}
}

// release lets the scan at the gate pass.
func (g *gate) release() { g.released <- struct{}{} }

// consume runs source and scans the database at url upon its events, until the
// test ends. Each scan passes the gate first, if it is not nil.
func consume(t *testing.T, source notify.Source, url string, gate *gate) *consumer {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	c := &consumer{
		url: url, gate: gate, cancel: cancel, flag: notify.NewFlag(),
		done: make(chan struct{}), changed: make(chan struct{}),
	}
	var group sync.WaitGroup
	group.Go(func() {
		err := source.Run(ctx, c.deliver)
		c.update(func() { c.result, c.returned = err, true })
	})
	group.Go(func() { c.scan(ctx) })
	go func() {
		group.Wait()
		close(c.done)
	}()
	t.Cleanup(func() { c.stop(t) })
	return c
}

func (c *consumer) deliver(event notify.Event) {
	c.flag.Set()
	c.update(func() {
		c.events = append(c.events, event)
		c.late = c.late || c.returned
	})
}

func (c *consumer) scan(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.flag.Wait():
		}
		if c.gate != nil {
			c.gate.pass(ctx)
		}
		id, err := last(ctx, c.url)
		c.update(func() {
			c.scans++
			c.scanErr = err
			c.seen = max(c.seen, id)
		})
	}
}

func (c *consumer) update(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	close(c.changed)
	c.changed = make(chan struct{})
}

// until waits until reached, which is called under the lock, returns true.
func (c *consumer) until(t *testing.T, what string, reached func() bool) {
	t.Helper()
	timeout := time.After(patience)
	for {
		c.mu.Lock()
		ok, changed := reached(), c.changed
		report := fmt.Sprintf("%d events, %d scans, change %d seen, last scan: %v, source: %v",
			len(c.events), c.scans, c.seen, c.scanErr, c.result)
		c.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			require.FailNow(t, "waited in vain: "+what, report)
		}
	}
}

// untilSeen waits until a scan has read change number id.
func (c *consumer) untilSeen(t *testing.T, id int) {
	t.Helper()
	c.until(t, fmt.Sprintf("change %d", id), func() bool { return c.seen >= id })
}

// untilEvents waits for that many events since the start, resyncs included.
func (c *consumer) untilEvents(t *testing.T, n int) {
	t.Helper()
	c.until(t, fmt.Sprintf("event number %d", n), func() bool { return len(c.events) >= n })
}

// untilResyncs waits for that many resyncs since the start.
func (c *consumer) untilResyncs(t *testing.T, n int) {
	t.Helper()
	c.until(t, fmt.Sprintf("resync number %d", n), func() bool { return c.resyncs() >= n })
}

// resyncs is called under the lock.
func (c *consumer) resyncs() int {
	n := 0
	for _, event := range c.events {
		if event.Resync() {
			n++
		}
	}
	return n
}

// countResyncs returns how many there were.
func (c *consumer) countResyncs() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resyncs()
}

// received returns a copy of the events so far.
func (c *consumer) received() []notify.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]notify.Event(nil), c.events...)
}

// stop ends the source and checks how it ends. It may be called again.
func (c *consumer) stop(t *testing.T) {
	t.Helper()
	c.cancel(errOver)
	select {
	case <-c.done:
	case <-time.After(patience):
		require.FailNow(t, "Run does not return")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	require.ErrorIs(t, c.result, errOver, "Run returns the cause of its context")
	require.False(t, c.late, "delivered after Run returned")
}
