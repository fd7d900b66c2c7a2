package executor

import (
	"context"
	"errors"
	"fmt"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// queryCanceled is what a statement answers that met its timeout.
const queryCanceled = "57014"

// failureRate counts the first tries of batches, to stop a migration that
// fails everywhere before it has tried every batch several times.
type failureRate struct {
	tried, failed int
	missing       int32 // batches in a row that named what is not there
}

const (
	enoughTries   = 50
	worstFailures = 0.5 // more than this share fails the migration
)

func (f failureRate) tooHigh() bool {
	return f.tried >= enoughTries && float64(f.failed) > worstFailures*float64(f.tried)
}

// setBack decides what becomes of a job whose batch has failed: another try
// later; two halves, when its attempts are used up or it takes too long; or, when it is a single row,
// the quarantine or the end of the migration. It is recorded through db.
func (w *worker) setBack(ctx context.Context, db control.TxDB, j *control.Job, cause error) error {
	f := describe(cause)
	attempts := max(j.Attempts, 1)
	tooLong := f.SQLState == queryCanceled
	if tooLong {
		w.sizer.Load().timedOut(j.BatchSize)
	}
	w.log.WarnContext(ctx, "batch failed", "job", j.ID, "range", rangeOf(j), "attempt", attempts, "max_attempts", w.maxAttempts(),
		"transient", f.Transient, "sqlstate", f.SQLState, "error", f.Message)
	if !f.Transient && !j.Careful {
		w.rate.tried++
		w.rate.failed++
		if w.rate.tooHigh() {
			return w.giveUp(ctx, db, j, f, fmt.Sprintf("%d of the first %d batches of a worker failed, the last one", w.rate.failed, w.rate.tried))
		}
	}
	if err := w.missing(ctx, db, j, f); err != nil {
		return err
	}
	switch usedUp := attempts >= w.maxAttempts(); {
	case f.Transient:
	case usedUp && (misused(cause) || w.target.null != ""):
		return w.giveUp(ctx, db, j, f, fmt.Sprintf("failed %d times", attempts)) // there is no range to narrow, or no row to blame
	case usedUp || tooLong && w.target.null == "":
		return w.narrow(ctx, db, j, f, tooLong)
	}
	attempts, transients, err := w.opts.Store.SetBack(ctx, db, j.ID, w.session.epoch, f)
	if err != nil || attempts+transients == 0 {
		return err
	}
	w.opts.Observer.SetBack(w.candidate.Name)
	if f.SQLState == diskFull {
		return fmt.Errorf("batch of job %d: %w", j.ID, cause)
	}
	if transients >= w.maxAttempts()*transientsPerAttempt {
		return final(j, f, fmt.Sprintf("gave up after %d transient failures", transients))
	}
	return nil
}

// missing fails the migration when something is not there any more that its batches name, instead of looking for
// the row that is to blame: at once where the server refuses the statement itself, else when as many
// batches in a row as one may be tried have found that.
func (w *worker) missing(ctx context.Context, db control.TxDB, j *control.Job, f control.Failure) error {
	if !structural(f.SQLState) {
		w.rate.missing = 0
		return nil
	}
	w.rate.missing++
	refused, err := w.refusedNow(ctx)
	switch {
	case err != nil:
		return err
	case refused != nil:
		_, _, err := w.opts.Store.SetBack(ctx, db, j.ID, w.session.epoch, f)
		return errors.Join(refused, err)
	case w.query != "" || w.rate.missing < w.maxAttempts():
		return nil // a function that it calls, perhaps: others may get through
	}
	return w.giveUp(ctx, db, j, f, fmt.Sprintf("%d batches in a row failed of the same cause; %s", w.rate.missing, wayOut))
}

const wayOut = "put back what is missing and retry, or cancel the migration and enqueue another one"

// refusedNow looks at the table, and at the statement where there is one, as before the first batch.
func (w *worker) refusedNow(ctx context.Context) (*refusal, error) {
	known := w.recordable()
	now := worker{opts: w.opts, candidate: w.candidate} // what w knows of the table stays
	now.candidate.TableOID, now.candidate.KeyColumns, now.candidate.KeyTypes, now.candidate.KeyCollation = &known.OID, known.KeyColumns, known.KeyTypes, &known.Collation
	err := now.lookAtTable(ctx)
	if err == nil && w.query != "" {
		err = prepareAll(ctx, w.session.conn, []statement{prepared("", w.query)})
		if err = statementError(w.work.Name, err); err != nil {
			err = fmt.Errorf("%w; %s", err, wayOut)
		}
	}
	if refused, ok := errors.AsType[*refusal](err); ok {
		refused.reason.Message = err.Error()
		return refused, nil
	}
	if err != nil && transient(err) {
		return nil, nil //nolint:nilnil // nobody can tell now
	}
	return nil, err
}

// narrow splits a job's range at its middle row. A single row that fails by
// itself goes into quarantine, if its migration has room there.
func (w *worker) narrow(ctx context.Context, db control.TxDB, j *control.Job, f control.Failure, tooLong bool) error {
	m, err := w.target.middle(ctx, db, j)
	if err != nil {
		return err
	}
	switch {
	case m.Rows > 1:
		attempts := w.maxAttempts() - 1 // each half gets one try before it is split again
		if tooLong {
			attempts = 0 // nothing is wrong with its rows
		}
		return w.split(ctx, db, j, m, attempts, f)
	case m.Rows == 0:
		return w.giveUp(ctx, db, j, f, "failed although there are no rows in its range")
	case tooLong && max(j.Attempts, 1) < w.maxAttempts():
		_, _, err := w.opts.Store.SetBack(ctx, db, j.ID, w.session.epoch, f)
		return err
	}
	done, err := w.opts.Store.Quarantine(ctx, db, w.candidate.ID, j.ID, w.session.epoch, *m.Only, f)
	if err != nil {
		return err
	}
	if !done {
		return w.giveUp(ctx, db, j, f, fmt.Sprintf("the row with key %s fails however it is tried (%d attempts), and max_quarantined leaves no room to set it aside", *m.Only, max(j.Attempts, 1)))
	}
	w.log.WarnContext(ctx, "row set aside in quarantine", "job", j.ID, "key", *m.Only, "sqlstate", f.SQLState, "error", f.Message)
	w.opts.Observer.Quarantined(w.candidate.Name)
	return nil
}

func (w *worker) split(ctx context.Context, db control.TxDB, j *control.Job, m control.Middle, attempts int32, f control.Failure) error {
	lower, err := w.opts.Store.Split(ctx, db, j.ID, w.session.epoch, m, attempts, f)
	if err != nil || lower == 0 {
		return err
	}
	w.opts.Observer.Split(w.candidate.Name)
	w.log.InfoContext(ctx, "batch split", "job", j.ID, "lower_half", lower, "rows", m.Rows, "middle", *m.Mid)
	return nil
}

// giveUp records a job's failure, and fails the migration with it.
func (w *worker) giveUp(ctx context.Context, db control.TxDB, j *control.Job, f control.Failure, why string) error {
	if _, _, err := w.opts.Store.SetBack(ctx, db, j.ID, w.session.epoch, f); err != nil {
		return err
	}
	return final(j, f, why)
}

// final fails the migration together with its job. Where somebody has paused the
// migration meanwhile, the job stays pending.
func final(j *control.Job, f control.Failure, why string) error {
	return &refusal{job: j, reason: control.Reason{
		Job: j.ID, Code: control.CodeMaxAttempts, SQLState: f.SQLState,
		Message: fmt.Sprintf("job %d (%s): %s: %s", j.ID, rangeOf(j), why, f.Message),
	}}
}

// afterCrashes narrows a job that ended its workers' sessions again and again.
// Its single row is never set aside: that it was on hand when a worker died proves nothing. It
// reports whether the job was split.
func (w *worker) afterCrashes(ctx context.Context, j *control.Job) (again bool, err error) {
	var m control.Middle
	if w.target.null == "" {
		if m, err = w.target.middle(ctx, w.session.conn, j); err != nil {
			return false, err
		}
	}
	f := control.Failure{Message: fmt.Sprintf("this batch ended its worker's session %d times; the server's log has the reason", j.Crashes)}
	if m.Rows > 1 {
		return true, w.split(ctx, w.session.conn, j, m, w.maxAttempts()-1, f)
	}
	if j.Crashes >= maxCrashes {
		return false, final(j, f, "gave up")
	}
	return false, nil
}

// middle counts the rows in a job's range, and finds the two keys between which it can be cut.
func (t target) middle(ctx context.Context, db control.DB, j *control.Job) (control.Middle, error) {
	comparison, lower := ">", j.After
	if lower == nil {
		comparison, lower = ">=", j.First
	}
	var m control.Middle
	err := db.QueryRow(ctx, fmt.Sprintf(`
		WITH r AS (SELECT %s AS k, row_number() OVER (ORDER BY %s) AS n, count(*) OVER () AS c FROM %s x WHERE %s %s %s AND %s <= %s)
		SELECT coalesce(max(c), 0), max(k) FILTER (WHERE c = 1), max(k) FILTER (WHERE n = c / 2), max(k) FILTER (WHERE n = c / 2 + 1 AND c > 1) FROM r`,
		t.rendered(), t.orderBy(), t.table, t.columns(), comparison, t.value("$1::text"), t.columns(), t.value("$2::text")), lower, j.End).
		Scan(&m.Rows, &m.Only, &m.Mid, &m.Next)
	if err != nil {
		return m, fmt.Errorf("find the middle of job %d: %w", j.ID, err)
	}
	return m, nil
}
