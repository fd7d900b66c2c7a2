package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// trailing is a batch whose commit is answered with the next one's first statement, so that nobody waits for its answer
// alone. The server does nothing of what the next one sends where the commit has failed: see package prelude.
type trailing outcome

// guardSQL fails outside of the transaction that was opened for a job: behind a commit that has failed a session may be in
// none, and what the next batch sends would be committed without its fence.
const guardSQL = "SELECT 1 / coalesce(current_setting('bbmd.batch', true) = $1, false)::int"

// trailAtMost is how long a batch may have taken for its commit not to be waited for: beside longer ones a way to the
// server is nothing, and people want to see what was done.
const trailAtMost = 100 * time.Millisecond

// The statements of a commit that trails, by their places.
const (
	placeFence = 1
	placeChain = 2
)

// behindError is why the batch before the one that runs was not committed: the one that runs has done nothing either.
type behindError struct {
	job *control.Job
	err error
}

func (e *behindError) Error() string { return "the batch before was not committed: " + e.err.Error() }
func (e *behindError) Unwrap() error { return e.err }

// trails reports whether the commit of a batch that took so long need not be waited for.
func (r *explicit) trails(h *finishing, next *control.Job, took time.Duration) bool {
	return r.line != nil && next != nil && r.opts.Tracer == nil && took < trailAtMost && len(h.last) == 0 && h.ahead == nil
}

// sendAhead sends a batch's commit, and what opens the next one's transaction, and waits for no answer.
func (r *explicit) sendAhead(t *trailing, fence [][]byte, next *control.Job) error {
	r.ending.Reset()
	r.ending.Add(stmtResetRole)
	r.ending.Add(stmtTokenFence, fence...)
	r.ending.Add(stmtChain)
	r.ending.Add(stmtOpen, r.opening(next)...)
	r.guard.Reset()
	r.guard.Add(stmtGuard, []byte(r.token(next)))
	if err := r.line.Send(&r.ending, &r.guard); err != nil {
		return fmt.Errorf("%w: %w", errConnection, err)
	}
	r.trail, r.opened = t, next
	return nil
}

// confirm finds out what became of the batch whose commit was on its way, and accounts for it. A [behindError] says
// that it failed; any other error is the transaction's that was to be opened behind it, or the connection's.
func (r *explicit) confirm(ctx context.Context) error {
	t := r.trail
	if t == nil {
		return nil
	}
	executed, failure, known := r.line.Outcome()
	if !known { // the Work has sent nothing
		err := runGroup(ctx, r.session.conn, func(p *pgconn.Pipeline) { p.SendQueryPrepared(stmtResetRole, nil, nil, nil) })
		if executed, failure, known = r.line.Outcome(); !known {
			r.trail = nil
			return fmt.Errorf("%w: %w", errConnection, err)
		}
	}
	r.heard()
	r.line.Forget()
	switch {
	case failure == nil:
		return nil
	case failure.Severity == "FATAL", failure.Severity == "PANIC":
		return fmt.Errorf("%w: %w", errConnection, failure)
	case executed > placeChain:
		return &groupError{executed, failure}
	}
	var err error = &groupError{executed, failure}
	if fenceRefused(err, placeFence) {
		err = r.whyRefused(ctx, t.job)
	}
	return &behindError{t.job, err}
}

// heard accounts for the batch whose commit was on its way, if it is known to be committed.
func (r *explicit) heard() {
	t := r.trail
	r.trail = nil
	if t == nil {
		return
	}
	if executed, _, known := r.line.Outcome(); known && executed > placeChain {
		r.source.claims.observe(t.job, t.took)
		r.finished(outcome(*t))
	}
}

// failedBehind records the failure of a batch that another one was begun behind. Where that one went on, the
// connection has ended, and there is another to record it on.
func (r *explicit) failedBehind(ctx context.Context, b *behindError, took time.Duration) error {
	var refused *refusal
	if !r.session.conn.IsClosed() || errors.Is(b.err, errConnection) || errors.Is(b.err, errLost) || errors.As(b.err, &refused) {
		return r.failed(ctx, b.job, b.err, took)
	}
	r.opts.Observer.BatchDone(r.candidate.Name, kind(b.err), 0, took)
	if err := r.setBack(ctx, r.opts.Pool, b.job, b.err); err != nil {
		return err
	}
	return fmt.Errorf("%w: the Work went on behind a batch that was not committed: %w", errConnection, b.err)
}

// confirmed does what confirm does where nothing runs behind the batch, and records a failure.
func (r *explicit) confirmed(ctx context.Context) error {
	err := r.confirm(ctx)
	var behind *behindError
	switch {
	case errors.As(err, &behind):
		return r.failedBehind(ctx, behind, 0)
	case errors.Is(err, errConnection):
		return err
	default:
		return nil // of a transaction that is not wanted any more
	}
}
