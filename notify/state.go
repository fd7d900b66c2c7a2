package notify

import (
	"sync"
	"sync/atomic"
	"time"
)

// State is what a Listener knows of itself, for readiness and metrics.
type State struct {
	// Connected is true while the subscription is in force: after the channels
	// were verified, until the connection is known to be lost or Run ended.
	Connected bool
	// Since is when Connected last changed, or when Run started. Zero before Run.
	Since time.Time
	// BackendPID is the server process of the connection, 0 without one.
	BackendPID uint32
	// Err is the last failure, without secrets. It stays after a reconnect, as
	// the reason of the last outage. Nil if there was none.
	Err error
	// ErrAt is when Err happened.
	ErrAt time.Time
	// Connects counts the connections that came to listen, since the Listener was
	// made: all but the first are reconnects.
	Connects uint64
	// Failures counts the connections lost and the attempts that came to nothing.
	Failures uint64
	// Notifications counts what was delivered, resyncs left out.
	Notifications uint64
	// Ignored counts notifications on channels that are not ours.
	Ignored uint64
	// LastNotification is when the last one was delivered. Zero if there was none.
	LastNotification time.Time
	// Behind is how many bytes of the write-ahead log the server has read for a
	// Stream, as it said last, and the Stream has not acknowledged: what its slot
	// keeps on the stream's account. 0 without a connection, and of a Listener.
	Behind uint64
}

// Reconnects returns how often a lost connection came back.
func (s State) Reconnects() uint64 { return max(s.Connects, 1) - 1 }

// tracker keeps the State. The part that each notification touches is atomic, so
// that whoever reads the state never holds up a delivery.
type tracker struct {
	onChange func(State)

	mu    sync.Mutex
	state State

	notifications atomic.Uint64
	ignored       atomic.Uint64
	last          atomic.Int64 // unix nanoseconds, 0 = none
	behind        atomic.Uint64
}

func (t *tracker) notified(now time.Time) {
	t.notifications.Add(1)
	t.last.Store(now.UnixNano())
}

func (t *tracker) snapshot() State {
	t.mu.Lock()
	state := t.state
	t.mu.Unlock()
	state.Notifications = t.notifications.Load()
	state.Ignored = t.ignored.Load()
	state.Behind = t.behind.Load()
	if last := t.last.Load(); last != 0 {
		state.LastNotification = time.Unix(0, last)
	}
	return state
}

// change applies what happened and tells the observer, outside the lock.
func (t *tracker) change(apply func(*State, time.Time)) {
	t.mu.Lock()
	apply(&t.state, time.Now())
	t.mu.Unlock()
	if t.onChange != nil {
		t.onChange(t.snapshot())
	}
}

func (t *tracker) started() {
	t.change(func(s *State, now time.Time) { s.Since = now })
}

func (t *tracker) connected(pid uint32) {
	t.change(func(s *State, now time.Time) {
		s.Connected, s.Since, s.BackendPID = true, now, pid
		s.Connects++
	})
}

// disconnected records the end of a connection, or of an attempt to make one. A
// nil err is the end of Run.
func (t *tracker) disconnected(err error) {
	t.behind.Store(0) // the slot is gone
	t.change(func(s *State, now time.Time) {
		if s.Connected {
			s.Connected, s.Since, s.BackendPID = false, now, 0
		}
		if err != nil {
			s.Err, s.ErrAt = err, now
			s.Failures++
		}
	})
}
