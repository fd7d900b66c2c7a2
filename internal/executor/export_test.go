package executor

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/registry"
)

// Situation is what a decision rests on, for tests.
type Situation struct {
	Registry *registry.Registry
	Settings Settings
	Mine     map[int32]int
	Epochs   []int32
	Again    map[int32]time.Duration // from now
	Held     []int32
}

// Decision is what was decided, for tests.
type Decision struct {
	Begin   []string
	Reasons map[string]string
	Wake    time.Duration
}

// Decide decides about a queue.
func Decide(queue []control.Candidate, in Situation) Decision {
	now := time.Unix(1_000_000, 0)
	s := situation{registry: in.Registry, settings: in.Settings, now: now, mine: in.Mine, epochs: in.Epochs, again: make(map[int32]time.Time), held: make(map[int32]*throttled)}
	for id, after := range in.Again {
		s.again[id] = now.Add(after)
	}
	for _, id := range in.Held {
		s.held[id] = &throttled{}
	}
	d := decide(queue, s)
	out := Decision{Wake: d.wake}
	for _, a := range d.begin {
		out.Begin = append(out.Begin, a.candidate.Name)
	}
	for id, reason := range d.reasons {
		if out.Reasons == nil {
			out.Reasons = make(map[string]string)
		}
		out.Reasons[nameOf(queue, id)] = reason
	}
	return out
}

// EndsSoon reports whether a migration is ending that has so many batches left, of which each takes so long. Open: there are more.
func EndsSoon(open bool, left int, each time.Duration) bool {
	s := source{open: open, queue: make([]control.Job, left), claims: &claimer{}}
	s.claims.batchTime.Store(int64(each))
	return s.ends()
}

// Transient and ConnectionLost classify errors.
var (
	Transient      = transient
	ConnectionLost = connectionLost
)

// ErrConnection marks errors of a connection without SQLSTATE.
var ErrConnection = errors.Join(errConnection)

// Delay is how long the n-th wait is.
var Delay = delay

// NewSizer makes a sizer for tests.
func NewSizer(start, least, most int32, target time.Duration) *sizer {
	return newSizer(limits{start, least, most, target}, 0)
}

// Observe feeds a finished batch.
func (s *sizer) Observe(size int32, took time.Duration) { s.observe(size, took) }

// Press says how much of the time the throttle lets the migration work.
func (s *sizer) Press(duty float64) { s.press(targetAt(duty)) }

// Current returns the size of the next batch.
func (s *sizer) Current() int32 { return s.current() }

// Operation names a statement in a span.
var Operation = operation

// UntracedBatch returns what a batch and a claim do about spans and logs where neither is wanted.
func UntracedBatch(ctx context.Context) func() {
	w := &worker{opts: &Options{Observer: NoObserver{}}, log: slog.New(slog.DiscardHandler), soft: ctx}
	r := &pipelined{worker: w}
	return func() {
		r.mark(0)
		r.mark(1)
		r.trace(ctx, flight{}, time.Time{}, 0, nil)
		w.claimed(4, time.Millisecond)
	}
}

// ServersPart is what a session takes for the server's part of groups that took so long, one after
// the other, where a single statement took as long as first.
func ServersPart(first time.Duration, took ...time.Duration) []time.Duration {
	s := &session{trip: max(first-near, 0)}
	parts := make([]time.Duration, len(took))
	for i, t := range took {
		parts[i] = s.work(t)
	}
	return parts
}

// KeepSpares says for how long a session waits for the next migration.
func KeepSpares(e *Executor, patience time.Duration) {
	e.spares.mu.Lock()
	defer e.spares.mu.Unlock()
	e.spares.patience = patience
}
