package executor

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/registry"
)

const (
	// spanKeys is how many keys are verified with one query: reading is cheaper than writing.
	spanKeys = 20_000
	// maxVerifications is how often a range may be found wrong before the migration fails.
	maxVerifications = 3
)

// verify asks the Work about every range of the chain, from where the last
// verifier stopped. Ranges that are wrong are queued again, and asked about once more after that.
func (w *worker) verify(ctx context.Context) error {
	verified := w.candidate.VerifiedOrdinal
	w.log.DebugContext(ctx, "all batches are done, verifying")
	for !w.stopping() {
		span, err := w.opts.Store.NextSpan(ctx, w.session.conn, w.candidate.ID, verified, spanKeys)
		if err != nil || span == nil {
			return err
		}
		wrong, err := w.wrong(ctx, &control.Job{After: span.After, First: w.candidate.MinValue, End: span.End})
		if errors.Is(err, registry.ErrUnverifiable) { // it had no use for the connection, then
			w.session.lent = false
			return w.opts.Store.Verified(ctx, w.session.conn, w.candidate.ID, math.MaxInt64)
		}
		if err != nil {
			return err
		}
		if wrong > 0 {
			return w.requeue(ctx, verified, *span)
		}
		if err := w.opts.Store.Verified(ctx, w.session.conn, w.candidate.ID, span.To); err != nil {
			return err
		}
		verified = span.To
	}
	return nil
}

// wrong asks the Work how many rows of a range are not as they should be.
func (w *worker) wrong(ctx context.Context, j *control.Job) (int64, error) {
	w.session.lent = true
	n, err := guardedValue(ctx, w.log, func() (int64, error) { return w.work.Verify(ctx, w.session.conn, w.batch(j)) })
	if err = orConnection(w.session.conn, err); err != nil {
		return 0, &claimError{fmt.Errorf("verify %s: %w", rangeOf(j), err)}
	}
	return n, nil
}

// requeue finds the jobs of a stretch whose ranges are wrong, and makes them pending.
func (w *worker) requeue(ctx context.Context, verified int64, span control.Span) error {
	above := fmt.Sprintf("%s > %s", w.target.value("max_value"), w.target.value("$4::text"))
	upTo := fmt.Sprintf("%s <= %s", w.target.value("max_value"), w.target.value("$5::text"))
	jobs, err := w.opts.Store.SpanJobs(ctx, w.session.conn, w.candidate.ID, verified, span, above, upTo)
	if err != nil {
		return err
	}
	for i := range jobs {
		j := &jobs[i]
		wrong, err := w.wrong(ctx, j)
		if err != nil {
			return err
		}
		if wrong == 0 {
			continue
		}
		if j.Verifications >= maxVerifications {
			return refuse(control.CodeUnknown, "job %d (%s): %d rows are still not as %s should leave them, after it was processed %d times; see its Verify, mend the cause, then retry",
				j.ID, rangeOf(j), wrong, w.work.Name, j.Verifications+1)
		}
		w.log.WarnContext(ctx, "range found wrong and queued again", "job", j.ID, "range", rangeOf(j), "rows", wrong)
		if err := w.opts.Store.Requeue(ctx, w.session.conn, j.ID, fmt.Sprintf("%d rows were found wrong by the Work's Verify", wrong)); err != nil {
			return err
		}
	}
	return nil
}
