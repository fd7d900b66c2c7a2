package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/control"
)

const (
	// depth is how many batches are in flight: the second lies in the server's
	// socket while the first runs, which hides the round trip.
	depth = 2
	// longestGroup is the size in bytes from which a batch travels alone.
	longestGroup = 8000
)

// pipelined runs Works that are one statement. A batch is one implicit
// transaction, {fence, work}, sent in one write.
type pipelined struct {
	*worker
	source *source
	uses   bool // the statement's lower bound is the first key of the range
	p      *pgconn.Pipeline

	flight   []flight      // groups sent, oldest first
	claiming bool          // a claim is among them
	batches  int           // batches among them
	draining bool          // nothing more is sent
	last     time.Time     // when the last answer came
	took     time.Duration // by the last batch, and a claim since
	kept     error         // the throttle says stop
	done     [2]time.Time  // when the answers to the last batch's statements came, where spans are recorded
	failures []failure
	lost     bool
}

// flight is a group that was sent and not answered. A nil job is a claim.
type flight struct {
	job  *control.Job
	sent time.Time
}

type failure struct {
	job *control.Job
	err error
}

func newPipelined(w *worker, s *source, p plan) *pipelined {
	return &pipelined{worker: w, source: s, uses: p.wantStart}
}

// run streams batches until nothing is left to start. Whatever interrupts the
// stream is dealt with while nothing is in flight.
func (r *pipelined) run(ctx context.Context) error {
	for {
		if err := r.inPipeline(ctx, r.stream); err != nil {
			return err
		}
		if err := r.settle(ctx); err != nil {
			return r.leave(ctx, err)
		}
		switch {
		case r.lost:
			return r.leave(ctx, errLost)
		case r.kept != nil:
			return r.leave(ctx, r.kept)
		case r.stopping() || r.source.paused:
			return r.leave(ctx, nil)
		case r.source.due || r.source.later && r.source.drained():
			if err := r.careful(ctx, r.source, r.alone); err != nil {
				return r.leave(ctx, err)
			}
		case r.source.drained():
			r.through = true
			return nil
		}
	}
}

// leave gives back what has not started, and passes cause on.
func (r *pipelined) leave(ctx context.Context, cause error) error {
	if r.source.ahead != nil {
		r.source.ahead.stop()
	}
	if cause != nil && connectionLost(cause) {
		return cause
	}
	return errors.Join(cause, r.giveBack(ctx))
}

// inPipeline runs fn with the connection in pipeline mode.
func (r *pipelined) inPipeline(ctx context.Context, fn func() error) error {
	r.p = r.session.conn.PgConn().StartPipeline(ctx)
	r.draining = false
	err := fn()
	if closeErr := r.p.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("%w: %w", errConnection, closeErr)
	}
	return err
}

// stream sends batches and reads their results, until something interrupts it
// or there are none left, and nothing is in flight any more.
func (r *pipelined) stream() error {
	for {
		if err := r.fill(); err != nil {
			return err
		}
		if len(r.flight) == 0 {
			return nil
		}
		if err := r.read(); err != nil {
			return err
		}
	}
}

// fill sends what may be sent, in one write.
func (r *pipelined) fill() error {
	sent := false
	for !r.interrupted() {
		claimed, err := r.topUp()
		if err != nil {
			return err
		}
		sent = sent || claimed
		if r.batches >= depth || r.tooLong() {
			break
		}
		if len(r.source.queue) == 0 || !r.free() && len(r.flight) > 0 {
			break // without freedom, one batch at a time
		}
		if r.kept = r.pass(r.source.feel(r.took)); r.kept != nil || r.stopping() {
			continue
		}
		if err := r.send(r.source.next()); err != nil {
			return err
		}
		sent = true
	}
	if !sent {
		return nil
	}
	if err := r.p.Flush(); err != nil {
		return fmt.Errorf("%w: %w", errConnection, err)
	}
	return nil
}

func (r *pipelined) interrupted() bool {
	if !r.draining && (r.lost || r.kept != nil || len(r.failures) > 0 || r.source.due || r.source.paused || r.stopping()) {
		r.draining = true
	}
	return r.draining
}

// tooLong reports whether the next batch has to travel alone: a group that does not fit
// into a socket's buffer could leave the server holding locks for the rest of it.
func (r *pipelined) tooLong() bool {
	if len(r.source.queue) == 0 || r.batches == 0 {
		return false
	}
	j := r.source.queue[0]
	size := len(j.End)
	if j.After != nil {
		size += len(*j.After)
	}
	return size > longestGroup
}

// topUp sees to it that jobs are there when the queue runs low. A claim is sent
// ahead of the last two batches, so that the server has work while its answer travels.
func (r *pipelined) topUp() (sent bool, err error) {
	s := r.source
	if !s.open || len(s.queue) > depth {
		return false, nil
	}
	if s.ahead != nil {
		return false, s.fromAhead(len(r.flight) == 0 && len(s.queue) == 0, r.soft.Done())
	}
	if r.claiming {
		return false, nil
	}
	s.claims.send(r.p, s.claims.sizer.current())
	r.flight = append(r.flight, flight{sent: time.Now()})
	r.claiming = true
	return true, nil
}

func (r *pipelined) send(j *control.Job) error {
	b := r.batch(j)
	params, err := bounds(b, r.uses)
	if err != nil {
		return err
	}
	name := stmtNext
	if b.First {
		name = stmtFirst
	}
	r.p.SendQueryPrepared(stmtFence, [][]byte{text(j.ID), text(int64(r.session.epoch))}, nil, nil)
	r.p.SendQueryPrepared(name, params, nil, nil)
	r.p.SendPipelineSync()
	r.flight = append(r.flight, flight{job: j, sent: time.Now()})
	r.batches++
	return nil
}

// read reads the oldest group's answer.
func (r *pipelined) read() error {
	f := r.flight[0]
	r.flight = r.flight[1:]
	if f.job == nil {
		return r.readClaim(f)
	}
	r.batches--
	var rows int64
	err := readGroup(r.p, nil, func(statement int, tag pgconn.CommandTag) {
		if statement == 1 {
			rows = tag.RowsAffected()
		}
		r.mark(statement)
	})
	began, took := r.answered(f)
	r.took = took
	r.trace(r.soft, f, began, rows, err)
	switch {
	case err == nil:
		r.source.claims.observe(f.job, took)
		r.finished(outcome{job: f.job, rows: rows, took: took})
		return nil
	case errors.Is(err, errConnection):
		return err
	case fenceRefused(err, 0):
		r.lost = true
		r.opts.Observer.BatchDone(r.candidate.Name, "lost", 0, took)
		return nil
	default:
		r.failures = append(r.failures, failure{f.job, err})
		r.opts.Observer.BatchDone(r.candidate.Name, kind(err), 0, took)
		return nil
	}
}

// answered takes note that a group's answer has come, and returns when the server began with it and
// how long that took.
func (r *pipelined) answered(f flight) (began time.Time, took time.Duration) {
	began, behind := f.sent, r.last
	r.last = time.Now()
	if behind.After(began) { // it waited behind the group before it
		return behind, r.last.Sub(behind)
	}
	return began, r.session.work(r.last.Sub(began))
}

// fenceRefused reports whether the fence, the statement of a batch's group at that place, found that
// the job is not ours any more, or the table is gone. The same code from another statement is the Work's own error.
func fenceRefused(err error, place int) bool {
	var g *groupError
	var pgErr *pgconn.PgError
	return errors.As(err, &g) && g.statement == place && errors.As(err, &pgErr) && (pgErr.Code == divisionByZero || pgErr.Code == undefinedTable)
}

func kind(err error) string {
	if transient(err) {
		return "transient"
	}
	return "failed"
}

func (r *pipelined) readClaim(f flight) error {
	r.claiming = false
	b, err := r.source.claims.receive(r.p)
	if err != nil {
		return notClaimed(err)
	}
	_, took := r.answered(f)
	r.took += took // others felt it as they do a batch
	r.source.claims.claimed(len(b.jobs), time.Since(f.sent))
	return r.source.take(b)
}

// settle records the failures of the batches that were in flight.
func (r *pipelined) settle(ctx context.Context) error {
	for len(r.failures) > 0 {
		f := r.failures[0]
		r.failures = r.failures[1:]
		if err := r.setBack(ctx, r.session.conn, f.job, f.err); err != nil {
			return err
		}
		r.source.due = true // look soon: others may be due, and this one will be
	}
	return nil
}

// alone runs one job that was claimed carefully, with nothing else in flight.
func (r *pipelined) alone(ctx context.Context, j *control.Job) error {
	err := r.inPipeline(ctx, func() error {
		if err := r.send(j); err != nil {
			return err
		}
		if err := r.p.Flush(); err != nil {
			return fmt.Errorf("%w: %w", errConnection, err)
		}
		return r.read()
	})
	if err != nil {
		return err
	}
	if r.lost {
		return errLost
	}
	return r.settle(ctx)
}
