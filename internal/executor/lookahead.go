package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
)

const (
	// A block costs a commit and some look-ups of its own, so it is long; what is claimed and not
	// begun has to be given back, or taken over, so it is not longer.
	blockTime = 200 * time.Millisecond
	// Pages that were read ahead are to be there still when their batch comes.
	scatteredBlockTime = 30 * time.Millisecond
	// inlineFirst is the first block's size: what is in flight, and as much again, so
	// that the second block is cut when it is known how long batches take.
	inlineFirst = 2 * depth
	// scatteredFirst is the same where looking up is dear, and the first batch waits for it.
	scatteredFirst = depth
	// aheadFirst is the size of the blocks that are claimed ahead before it is known how long batches take: two of them
	// may lie ready, and where batches are long, others are to find some, too.
	aheadFirst  = depth
	mostBatches = 64
	// mostRetries is how many jobs may fail again at once, between those that are tried for the first time.
	mostRetries = depth
	// While the throttle makes batches short, a claim is to be no longer than they are.
	slowBlock = 4 * depth
)

// lookAhead claims blocks on a connection of its own, beside the batches:
// the server looks up on another core where the next batches end; where they lie scattered, that reads the very
// pages that the work needs next; and a Work in Go does not have to wait for it. The connection is
// opened when the first block, which the session claims itself, was not all. Where there is none to be had,
// the session goes on by itself.
type lookAhead struct {
	claims *claimer
	blocks chan block
	quit   chan struct{}      // closed: end after the claim under way
	leave  context.CancelFunc // with quit: nobody waits for the connection any more
	ended  chan struct{}      // closed when nothing more is claimed
	err    error              // why not, to be read after ended
	closed chan struct{}      // closed when the connection is, too
}

// noAheadError is why there is no connection to look ahead with: those of the server, or of the role, are all in use.
type noAheadError struct{ err error }

func (e *noAheadError) Error() string { return "open a session to look ahead: " + e.err.Error() }
func (e *noAheadError) Unwrap() error { return e.err }

func startLookAhead(ctx context.Context, open func(connecting context.Context) (*pgx.Conn, error), spares *spares, claims *claimer) *lookAhead {
	connecting, leave := context.WithCancel(ctx)
	claims.first = aheadFirst
	l := &lookAhead{claims: claims, blocks: make(chan block, 1), quit: make(chan struct{}), leave: leave, ended: make(chan struct{}), closed: make(chan struct{})}
	go func() {
		defer close(l.closed)
		defer leave()
		conn, err := open(connecting)
		if err == nil {
			err = l.run(ctx, conn)
			defer func() { // while the last batches run
				if err != nil || !spares.put(ctx, conn) {
					closeConn(ctx, conn)
				}
			}()
		}
		l.err = err
		close(l.ended)
	}()
	return l
}

func (l *lookAhead) run(ctx context.Context, conn *pgx.Conn) error {
	for !l.quitting() {
		began := time.Now()
		b, err := claimNow(ctx, conn, l.claims)
		if err != nil {
			return &claimError{err}
		}
		b.took = time.Since(began)
		l.claims.claimed(len(b.jobs), b.took)
		select {
		case l.blocks <- b:
		case <-l.quit:
			return nil
		}
		if b.complete || b.lostLock || b.status != control.StatusRunning {
			return nil
		}
	}
	return nil
}

func (l *lookAhead) quitting() bool {
	select {
	case <-l.quit:
		return true
	default:
		return false
	}
}

// stop waits until no claim is under way any more. What was claimed and not
// taken stays with the owner, to be given back. It may be called twice.
func (l *lookAhead) stop() {
	if !l.quitting() {
		close(l.quit)
		l.leave()
	}
	<-l.ended
}

// close waits until the connection is gone.
func (l *lookAhead) close() {
	l.stop()
	<-l.closed
}

// claimNow sends one claim and waits for its answer.
func claimNow(ctx context.Context, conn *pgx.Conn, claims *claimer) (block, error) {
	p := conn.PgConn().StartPipeline(ctx)
	claims.send(p, claims.sizer.current())
	if err := p.Flush(); err != nil {
		_ = p.Close()
		return block{}, fmt.Errorf("%w: %w", errConnection, err)
	}
	b, err := claims.receive(p)
	if closeErr := p.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("%w: %w", errConnection, closeErr)
	}
	return b, err
}

// source hands jobs to a worker's loop, from its own claims or from those made ahead.
type source struct {
	claims  *claimer
	ahead   *lookAhead        // nil: the loop claims on its own connection
	begin   func() *lookAhead // once there is more than the first block; nil: nobody looks ahead
	alone   func(error)       // is told that nobody can
	nearEnd func()            // is told once that the last batches are there to be taken; nil: it was
	queue   []control.Job
	open    bool // the chain has not reached the end of the range
	due     bool // a pending job may be tried
	later   bool // another one, when the queue has been tried
	paused  bool // the migration is not running any more

	felt time.Duration // by others of claims beside the batches, for which nobody has rested yet
}

// take adds a block to the queue.
func (s *source) take(b block) error {
	if b.lostLock {
		return errLost
	}
	s.queue, s.felt = append(s.queue, b.jobs...), s.felt+b.took
	s.due = s.due || b.due
	if b.status != control.StatusRunning {
		s.paused, s.open = true, false
		return nil
	}
	s.open = s.open && !b.complete
	if s.open && s.begin != nil && s.ahead == nil {
		s.ahead = s.begin()
	}
	return nil
}

// feel returns what others have felt since it was asked last: of a batch that took so long, and of claims.
func (s *source) feel(batch time.Duration) time.Duration {
	felt := batch + s.felt
	s.felt = 0
	return felt
}

// drained reports whether no job is left that nobody has tried.
func (s *source) drained() bool { return !s.open && len(s.queue) == 0 }

// next removes the first job of the queue; nil: it is empty.
func (s *source) next() *control.Job {
	if len(s.queue) == 0 {
		return nil
	}
	j := s.queue[0]
	s.queue = s.queue[1:]
	if s.nearEnd != nil && s.ends() {
		s.nearEnd()
		s.nearEnd = nil
	}
	return &j
}

// lastTime is how long before its last batch a migration is said to be ending.
const lastTime = 20 * time.Millisecond

// ends reports whether what is left will be done soon.
func (s *source) ends() bool {
	return !s.open && time.Duration(len(s.queue))*time.Duration(s.claims.batchTime.Load()) <= lastTime
}

// fromAhead takes the blocks that are there. With wait it waits for one, or
// for stop.
func (s *source) fromAhead(wait bool, stop <-chan struct{}) error {
	if !s.open {
		return nil
	}
	if !wait {
		select {
		case b := <-s.ahead.blocks:
			return s.take(b)
		default:
			return nil
		}
	}
	select {
	case b := <-s.ahead.blocks:
		return s.take(b)
	case <-stop:
		return nil
	case <-s.ahead.ended:
		select {
		case b := <-s.ahead.blocks: // sent just before it ended
			return s.take(b)
		default:
			return s.without(s.ahead.err)
		}
	}
}

// without goes on when nobody looks ahead any more: alone, if nobody ever could.
func (s *source) without(cause error) error {
	if _, none := errors.AsType[*noAheadError](cause); none {
		s.alone(cause)
		s.ahead, s.begin = nil, nil
		return nil
	}
	s.open = false
	return cause
}
