package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/prelude"
	"github.com/bbmd-dev/bbmd/registry"
)

// The names of the prepared statements around a callback.
const (
	stmtBegin      = "bbmd_begin"
	stmtResetRole  = "bbmd_reset_role"
	stmtOpen       = "bbmd_open"
	stmtGuard      = "bbmd_guard"
	stmtTokenFence = "bbmd_token_fence" //nolint:gosec // a statement's name, no credential
	stmtCommit     = "bbmd_commit"
	stmtChain      = "bbmd_commit_and_chain"
)

// openSQL sets the batch's token, and the path where a Work has changed it: to set it makes the server look up all that is on it.
const openSQL = `SELECT set_config('bbmd.batch', $1, true), CASE WHEN current_setting('search_path') <> $2 THEN set_config('search_path', $2, false) END`

// explicitStatements are what a callback's session has to know, to be prepared.
func explicitStatements(store control.Store, t *target) []statement {
	return []statement{
		prepared(stmtBegin, "BEGIN"),
		prepared(stmtResetRole, "RESET ROLE"),
		prepared(stmtOpen, openSQL),
		prepared(stmtGuard, guardSQL),
		prepared(stmtTokenFence, store.TokenFenceSQL(t.index)),
		prepared(stmtCommit, "COMMIT"),
		prepared(stmtChain, "COMMIT AND CHAIN"),
	}
}

// explicit runs Works that are callbacks, each batch in a transaction of its own:
// {begin, set the token}; callback; {fence that demands the token, commit}. Where the next job is known, its
// beginning travels with the commit, and both are answered with its callback's first statement (see [trailing]).
type explicit struct {
	*worker
	source   *source
	call     runFunc
	nulls    *nulls            // nil: batches are ranges of a key
	took     time.Duration     // by the last batch
	opened   *control.Job      // the transaction that is open is this job's
	line     *prelude.Line     // nil: a commit is waited for
	ending   prelude.Group     // of the last batch
	guard    prelude.Group     // of the one behind it
	trail    *trailing         // the batch whose commit is on its way; nil: none is
	begun    *begun            // the Work has begun with the next job; nil: it has not
	known    map[string]string // names of prepared last statements, by text
	recorded bool              // the last batch's fence has said what it did
	renew    bool              // the Work took our prepared statements away: go on with a new session
}

func newExplicit(w *worker, s *source, run runFunc) *explicit {
	return &explicit{worker: w, source: s, call: run, line: prelude.Of(w.session.conn.PgConn()), known: map[string]string{}}
}

// errRenew ends a session that a Work has changed for good.
var errRenew = fmt.Errorf("%w: the Work dropped the session's prepared statements", errConnection)

func (r *explicit) run(ctx context.Context) error {
	defer r.drop(ctx)
	for {
		if err := r.batches(ctx); err != nil {
			return r.leave(ctx, err)
		}
		switch {
		case r.stopping() || r.source.paused:
			return r.leave(ctx, nil)
		case r.source.due || r.source.later && r.source.drained():
			if err := r.careful(ctx, r.source, r.one); err != nil {
				return r.leave(ctx, err)
			}
		case r.source.drained():
			r.through = true
			return nil
		}
	}
}

// leave gives back what has not started, and passes cause on.
func (r *explicit) leave(ctx context.Context, cause error) error {
	if r.source.ahead != nil {
		r.source.ahead.stop()
	}
	if cause != nil && connectionLost(cause) && !errors.Is(cause, errRenew) {
		return cause
	}
	return errors.Join(cause, r.rollback(ctx), r.giveBack(ctx))
}

// batches runs the jobs of the chain until something interrupts it or none is
// left. A transaction that was opened for a job which does not run now is undone.
func (r *explicit) batches(ctx context.Context) error {
	for !r.stopping() && !r.source.paused && !r.source.due {
		if err := r.topUp(ctx); err != nil {
			return err
		}
		j := r.source.next()
		if j == nil {
			break
		}
		if err := r.wait(ctx); err != nil || r.stopping() {
			return errors.Join(err, r.rollback(ctx))
		}
		if err := r.one(ctx, j); err != nil {
			return err
		}
	}
	return r.rollback(ctx)
}

// wait lets the next batch through, or keeps it back: with no transaction open meanwhile.
func (r *explicit) wait(ctx context.Context) error {
	felt := r.source.feel(r.took) // asked of every batch, so that it is of this one
	if r.free() {
		return nil
	}
	if err := r.rollback(ctx); err != nil {
		return err
	}
	return r.pass(felt)
}

// topUp sees to it that a job is there, if there is any. It takes another block only
// when the one before is nearly done, or claims would run ahead without end.
func (r *explicit) topUp(ctx context.Context) error {
	if r.nulls == nil {
		return r.takeBlock(ctx)
	}
	if !r.source.open {
		return nil
	}
	j, err := r.opts.Store.ClaimNull(ctx, r.session.conn, r.candidate.ID, r.session.epoch, r.source.claims.sizer.current())
	if err != nil {
		return &claimError{err}
	}
	if r.source.open = j != nil; r.source.open {
		r.source.queue = append(r.source.queue, *j)
	}
	return nil
}

// takeBlock takes the next block when the one before is nearly done. The first is claimed on the session itself,
// and so are all where nobody can look ahead.
func (r *explicit) takeBlock(ctx context.Context) error {
	s := r.source
	switch {
	case !s.open || len(s.queue) > depth:
		return nil
	case s.ahead != nil:
		return s.fromAhead(len(s.queue) == 0, r.soft.Done())
	}
	if err := r.rollback(ctx); err != nil { // the next job's transaction may be open
		return err
	}
	began := time.Now()
	b, err := claimNow(ctx, r.session.conn, s.claims)
	if err != nil {
		return notClaimed(err)
	}
	r.claimed(len(b.jobs), time.Since(began))
	return s.take(b)
}

// one runs one job, and records its failure if it fails.
func (r *explicit) one(ctx context.Context, j *control.Job) error {
	began := time.Now()
	rows, err := r.traced(ctx, j, began)
	took := time.Since(began)
	r.took = took
	var behind *behindError
	switch {
	case errors.As(err, &behind): // what this one did is undone with it
		r.source.queue = append([]control.Job{*j}, r.source.queue...)
		return r.failedBehind(ctx, behind, took)
	case err != nil:
		return r.failed(ctx, j, err, took)
	case r.trail == nil:
		r.source.claims.observe(j, took)
		r.finished(outcome{job: j, rows: rows, took: took, recorded: r.recorded})
	}
	if r.nulls != nil {
		return r.nulls.check(rows)
	}
	if r.renew {
		return errRenew
	}
	return nil
}

// failed records the failure of one job.
func (r *explicit) failed(ctx context.Context, j *control.Job, err error, took time.Duration) error {
	var refused *refusal
	switch {
	case errors.Is(err, errNoRows):
		return r.empty(ctx, j)
	case errors.Is(err, errLeftOpen):
		r.opts.Observer.BatchDone(r.candidate.Name, "failed", 0, took)
		return r.abandon(ctx, j, err)
	case errors.Is(err, errConnection) || r.session.conn.IsClosed():
		return fmt.Errorf("%w: %w", errConnection, err)
	case errors.Is(err, errLost) || errors.As(err, &refused):
		r.opts.Observer.BatchDone(r.candidate.Name, "lost", 0, took)
		return err
	default:
		r.opts.Observer.BatchDone(r.candidate.Name, kind(err), 0, took)
		if err := r.rollback(ctx); err != nil {
			return err
		}
		if err := r.setBack(ctx, r.session.conn, j, err); err != nil {
			return err
		}
		r.source.due = true
	}
	if r.renew {
		return errRenew
	}
	return nil
}

// traced runs one job's transaction, and records it where spans are.
func (r *explicit) traced(ctx context.Context, j *control.Job, began time.Time) (int64, error) {
	if r.opts.Tracer == nil {
		return r.transaction(ctx, j, began)
	}
	ctx, span := r.beginSpan(ctx, j, began)
	rows, err := r.transaction(ctx, j, began)
	span.SetAttributes(keyRows.Int64(rows))
	endSpan(span, time.Now(), err)
	return rows, err
}

// empty ends a batch of the strategy "null" that found no row, and perhaps the migration with it.
func (r *explicit) empty(ctx context.Context, j *control.Job) error {
	if _, err := r.commit(ctx, j, 0, &finishing{}, 0); err != nil {
		return err
	}
	r.source.open = false
	return r.nulls.left(ctx)
}

// transaction runs one job's transaction up to its commit.
func (r *explicit) transaction(ctx context.Context, j *control.Job, began time.Time) (rows int64, err error) {
	if r.opened == nil || r.opened.ID != j.ID {
		if err := runGroup(ctx, r.session.conn, func(p *pgconn.Pipeline) {
			p.SendQueryPrepared(stmtBegin, nil, nil, nil)
			p.SendQueryPrepared(stmtResetRole, nil, nil, nil)
			r.sendOpening(p, j)
		}); err != nil {
			return 0, err
		}
	}
	r.opened = nil
	b := r.batch(j)
	if r.nulls != nil {
		if b.Rows, err = r.nulls.pick(ctx, j.BatchSize); err != nil {
			return 0, err
		}
	}
	h := &finishing{handle: &handle{conn: r.session.conn, tracer: r.opts.Tracer}, begun: r.takeBegun(ctx, j, b)}
	result, err := guardedValue(ctx, r.log, func() (registry.Result, error) { return r.call(ctx, h, b) })
	h.over = true
	if h.begun != nil {
		r.letGo(ctx, h.begun) // the Work did not ask for it
	}
	r.renew, r.session.lent = r.renew || h.deallocated, r.session.lent || h.lent
	if r.session.conn.PgConn().IsBusy() {
		r.heard() // the connection is given up: if it was not, whoever takes the session's jobs over will see
		return 0, errors.Join(err, errLeftOpen)
	}
	if behind := r.confirm(ctx); behind != nil {
		return 0, behind
	}
	if err != nil {
		return 0, err
	}
	r.recorded = len(h.last) == 0
	if r.opts.Tracer == nil {
		return r.commit(ctx, j, result.Rows, h, time.Since(began))
	}
	sent := time.Now()
	rows, err = r.commit(ctx, j, result.Rows, h, time.Since(began))
	r.traceStatement(ctx, "commit", sent, time.Now(), err)
	return rows, err
}

// abandon ends a session on which a Work left results unread, and records the
// Work's error: nothing else can be sent there, and its transaction is undone.
func (r *explicit) abandon(ctx context.Context, j *control.Job, cause error) error {
	closeConn(ctx, r.session.conn)
	if err := r.setBack(ctx, r.opts.Pool, j, cause); err != nil {
		return err
	}
	return fmt.Errorf("%w: %w", errConnection, cause)
}

func (r *explicit) token(j *control.Job) string {
	return fmt.Sprintf("%d:%d:%d", j.ID, j.Attempts, r.session.epoch)
}

// sendOpening puts the session as a Work may expect it, its role being back already, and sets
// the token that lives exactly as long as the transaction.
func (r *explicit) sendOpening(p *pgconn.Pipeline, j *control.Job) {
	p.SendQueryPrepared(stmtOpen, r.opening(j), nil, nil)
}

func (r *explicit) opening(j *control.Job) [][]byte {
	return [][]byte{[]byte(r.token(j)), []byte(r.session.searchPath)}
}

// commit ends a job's transaction, in which the Work has changed rows so far. It returns how many
// it has changed in the end.
func (r *explicit) commit(ctx context.Context, j *control.Job, rows int64, h *finishing, took time.Duration) (int64, error) {
	switch r.session.conn.PgConn().TxStatus() {
	case 'I':
		return 0, r.endedItself(j)
	case 'E':
		return 0, errAfterFail
	}
	fence := [][]byte{text(j.ID), text(int64(r.session.epoch)), []byte(r.token(j)), text(rows), fmt.Appendf(nil, "%.3f", took.Seconds()*1000)}
	next := r.upcoming(j)
	if r.trails(h, next, took) {
		return rows, r.sendAhead(&trailing{job: j, rows: rows, took: took, recorded: true}, fence, next)
	}
	more, err := r.finish(ctx, j, h, fence, next)
	return rows + more, err
}

// upcoming returns the job that will surely run after j, or nil.
func (r *explicit) upcoming(j *control.Job) *control.Job {
	if j.Careful || r.renew || !r.free() || r.stopping() || r.source.due || r.source.paused || len(r.source.queue) == 0 {
		return nil
	}
	return &r.source.queue[0]
}

// whyRefused tells a job that is not ours any more from a Work that ended the
// transaction itself: then the job is ours still, but the token is gone.
func (r *explicit) whyRefused(ctx context.Context, j *control.Job) error {
	if err := r.rollback(ctx); err != nil {
		return err
	}
	ours, err := r.opts.Store.Owns(ctx, r.session.conn, j.ID, r.session.epoch, r.target.index)
	if err != nil {
		return err
	}
	if ours {
		return r.endedItself(j)
	}
	return errLost
}

func (r *explicit) endedItself(j *control.Job) error {
	return refuse(control.CodeWork, "job %d (%s): the Work ended the batch's transaction itself (COMMIT or ROLLBACK); what it committed is not accounted for; check these rows, mend the Work, then retry", j.ID, rangeOf(j))
}

// rollback undoes what is open, if anything is, and lets go of what was begun. What is
// on its way to be committed is not undone.
func (r *explicit) rollback(ctx context.Context) error {
	if err := r.confirmed(ctx); err != nil {
		return err
	}
	r.opened = nil
	r.drop(ctx)
	if r.session.conn.PgConn().TxStatus() == 'I' {
		return nil
	}
	if _, err := r.session.conn.PgConn().Exec(ctx, "ROLLBACK").ReadAll(); err != nil {
		return fmt.Errorf("%w: roll back: %w", errConnection, err)
	}
	return nil
}
