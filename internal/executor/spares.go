package executor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// spareTime is how long a session may wait for the next migration: long enough for a queue in which one follows
	// the other, and for one that waits for the next release not to hold connections meanwhile.
	spareTime = 30 * time.Second
	// spareAge is how old a session may get: what the server keeps in memory for it grows with all that it has seen.
	spareAge = 10 * time.Minute
	// spareTimeout bounds what a spare session is asked to begin with. Who does not answer is not there any more.
	spareTimeout = 5 * time.Second
)

// spares are sessions that wait for the next migration, made as new: to connect, and to fill a new session's
// caches, takes the server as long as some batches. Nil has none, and keeps none.
type spares struct {
	application string        // under which the server shows them
	patience    time.Duration // for how long one waits
	mu          sync.Mutex
	idle        []*spare // that came last, last
	closed      bool
}

type spare struct {
	conn  *pgx.Conn
	timer *time.Timer // ends it
}

func newSpares(database string) *spares {
	return &spares{application: "bbmd/" + database + "/spare", patience: spareTime}
}

// take returns the session that came last, or nil.
func (s *spares) take() *pgx.Conn {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.idle) - 1
	if last < 0 {
		return nil
	}
	conn := s.idle[last].conn
	s.idle[last].timer.Stop()
	s.idle = s.idle[:last]
	return conn
}

// put makes a session as new and keeps it. It reports whether it did; otherwise the session is still the caller's. What
// belongs to the session, its locks first of all, is gone when put has returned true.
func (s *spares) put(ctx context.Context, conn *pgx.Conn) bool {
	if s == nil || conn.IsClosed() || conn.PgConn().TxStatus() != 'I' || tooOld(conn) || s.renew(ctx, conn) != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	kept := &spare{conn: conn}
	ctx = context.WithoutCancel(ctx) // its end may come after whoever puts it
	kept.timer = time.AfterFunc(s.patience, func() { s.end(ctx, kept) })
	s.idle = append(s.idle, kept)
	return true
}

// opened is where a connection says when it was.
const opened = "bbmd.opened"

// noteAge remembers since when a connection is open.
func noteAge(conn *pgx.Conn) { conn.PgConn().CustomData()[opened] = time.Now() }

func tooOld(conn *pgx.Conn) bool {
	since, known := conn.PgConn().CustomData()[opened].(time.Time)
	return !known || time.Since(since) > spareAge
}

// renew takes all away from a session that somebody may have left there, on both sides of it.
func (s *spares) renew(ctx context.Context, conn *pgx.Conn) error {
	if err := conn.DeallocateAll(ctx); err != nil { // pgx has a list of its own
		return fmt.Errorf("make a session as new: %w", err)
	}
	return converse(ctx, conn, []statement{{sql: "DISCARD ALL"}},
		[]statement{{sql: "SELECT set_config('application_name', $1, false)", args: []string{s.application}}})
}

// end closes a session that nobody has taken.
func (s *spares) end(ctx context.Context, kept *spare) {
	if s.remove(kept) {
		closeConn(ctx, kept.conn)
	}
}

func (s *spares) remove(kept *spare) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.idle {
		if other == kept {
			s.idle = append(s.idle[:i], s.idle[i+1:]...)
			return true
		}
	}
	return false
}

// drop closes all that are there: one of them has failed.
func (s *spares) drop(ctx context.Context) {
	for conn := s.take(); conn != nil; conn = s.take() {
		closeConn(ctx, conn)
	}
}

// close does the same, for good.
func (s *spares) close(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.drop(ctx)
}
