package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A commit is in the write-ahead log before anybody can see what it did: the
// server's process still has to say so to the others, and with synchronous
// replication it first waits for a standby, for as long as that takes. An event
// that came before that would lead to a scan which finds nothing, and no other
// would follow. So the events of a transaction wait until a snapshot has it.

// told is what a transaction, or a message outside of transactions, has to tell.
type told struct {
	xid    uint32 // 0: of no transaction
	events []Event
}

// witness holds events back until their transactions can be seen.
type witness struct {
	session *session
	event   func(Event)

	mu     sync.Mutex
	queue  []told
	filled chan struct{} // holds one token while the queue may not be empty
}

// witnessName is what pg_stat_activity shows for the session that takes snapshots.
const witnessName = "bbmd/witness"

// connectWitness opens the session that takes snapshots: one that streams cannot.
// It is silent unless there are events.
func (s *Stream) connectWitness(ctx context.Context) (*session, error) {
	s.mu.Lock()
	conn := s.conn.Copy()
	s.mu.Unlock()
	delete(conn.RuntimeParams, "replication")
	conn.RuntimeParams["application_name"] = witnessName
	return connect(ctx, conn)
}

func newWitness(session *session, event func(Event)) *witness {
	return &witness{session: session, event: event, filled: make(chan struct{}, 1)}
}

// mostWaiting is how many transactions may wait: more than a server that
// works has between two snapshots.
const mostWaiting = 1_000_000

var errBacklog = errors.New("too many transactions wait to become visible: do commits wait for a standby that is away?")

// add takes over events that run delivers.
func (w *witness) add(t told) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) >= mostWaiting {
		return errBacklog
	}
	w.queue = append(w.queue, t)
	select {
	case w.filled <- struct{}{}:
	default:
	}
	return nil
}

// run delivers until ctx ends or the session is lost.
func (w *witness) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.filled:
		}
		w.mu.Lock()
		queue := w.queue
		w.queue = nil
		w.mu.Unlock()
		if err := w.deliver(ctx, queue); err != nil {
			return err
		}
	}
}

// Bounds of the wait between two snapshots for a transaction that is not visible
// yet. There is nothing that the server would tell it by.
const (
	shortestLook = time.Millisecond
	longestLook  = 100 * time.Millisecond
)

// deliver delivers in the order of the queue.
func (w *witness) deliver(ctx context.Context, queue []told) error {
	var now snapshot // none yet, which has nothing
	wait := time.Duration(0)
	for len(queue) > 0 {
		if first := queue[0]; first.xid == 0 || now.has(first.xid) {
			for _, event := range first.events {
				w.event(event)
			}
			queue, wait = queue[1:], 0
			continue
		}
		if pause(ctx, wait); ctx.Err() != nil {
			return context.Cause(ctx)
		}
		wait = min(max(2*wait, shortestLook), longestLook)
		var err error
		if now, err = w.snapshot(ctx); err != nil {
			return err
		}
	}
	return nil
}

// snapshot asks which transactions can be seen now.
func (w *witness) snapshot(ctx context.Context) (snapshot, error) {
	rows, err := w.session.query(ctx, "SELECT pg_catalog.pg_current_snapshot()")
	if err != nil {
		if ctx.Err() != nil {
			return snapshot{}, context.Cause(ctx)
		}
		return snapshot{}, fmt.Errorf("take snapshot: %w", err)
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return snapshot{}, errors.New("take snapshot: the answer is not what was asked for")
	}
	return parseSnapshot(rows[0][0])
}

// snapshot says which transactions can be seen: those before min, and those before
// max that are not open. The numbers are those that do not wrap.
type snapshot struct {
	min, max uint64
	open     []uint64
}

// parseSnapshot reads pg_snapshot's text: 10:20:10,14,15.
func parseSnapshot(text string) (snapshot, error) {
	malformed := fmt.Errorf("take snapshot: %.100q is none", text)
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return snapshot{}, malformed
	}
	list := parts[:2:2]
	if parts[2] != "" {
		list = append(list, strings.Split(parts[2], ",")...)
	}
	numbers := make([]uint64, 0, len(list))
	for _, part := range list {
		n, err := strconv.ParseUint(part, 10, 64)
		if err != nil {
			return snapshot{}, malformed
		}
		numbers = append(numbers, n)
	}
	return snapshot{min: numbers[0], max: numbers[1], open: numbers[2:]}, nil
}

// has reports whether what a transaction has committed can be seen. Its number
// wraps: it is the one that is closest to max.
func (s snapshot) has(xid uint32) bool {
	behind := uint32(s.max) - xid //nolint:gosec // the lower half is what is compared
	if s.max == 0 || behind == 0 || behind > 1<<31 {
		return false // at max or after it
	}
	full := s.max - uint64(behind)
	return full < s.min || !slices.Contains(s.open, full)
}
