package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/registry"
)

// Probe is asked inside of a trial's transaction, on its session.
type Probe struct {
	Before, After func(ctx context.Context, conn *pgx.Conn) error
}

// Trial is what became of a batch that was tried. It was rolled back.
type Trial struct {
	Rows    int64            // that the Work reports
	Took    time.Duration    // by the Work, round trip included: what sizes are steered by
	Late    time.Duration    // by constraints that wait for the end of the transaction
	Failure *control.Failure // what would have failed the batch; nil: nothing
}

var errEscaped = errors.New("the Work ended the batch's transaction itself (COMMIT or ROLLBACK): what it did before was not undone, and as a migration it would fail")

// Try runs a batch in a transaction of its own and rolls it back. What a Work
// does outside of the database is not undone. The error is one that ends the rehearsal.
func (r *Rehearsal) Try(ctx context.Context, d *Draft, p Probe) (t Trial, err error) {
	conn := r.worker.session.conn
	err = exec(ctx, conn, "BEGIN", "RESET ROLE")
	if err == nil {
		_, err = conn.Exec(ctx, "SELECT set_config('bbmd.batch', 'dry-run', true), set_config('search_path', $1, false)", control.Once, r.worker.session.searchPath)
	}
	if err != nil {
		return t, fmt.Errorf("begin a trial: %w", err)
	}
	defer func() {
		if undone := exec(ctx, conn, "ROLLBACK"); err == nil && undone != nil {
			err = fmt.Errorf("roll back a trial: %w", undone)
		}
	}()
	if err := p.Before(ctx, conn); err != nil {
		return t, err
	}
	began := time.Now()
	t.Rows, err = r.process(ctx, &d.Job)
	t.Took = time.Since(began)
	switch {
	case conn.PgConn().IsBusy():
		return t, errors.Join(err, errLeftOpen)
	case conn.IsClosed():
		return t, errors.Join(err, errConnection)
	case conn.PgConn().TxStatus() == 'I':
		return t, errEscaped
	case err == nil && conn.PgConn().TxStatus() == 'E':
		err = errAfterFail
	case err == nil:
		began = time.Now()
		err = exec(ctx, conn, "SET CONSTRAINTS ALL IMMEDIATE")
		t.Late = time.Since(began)
	}
	if err != nil {
		failure := describe(err)
		t.Failure = &failure
		return t, nil
	}
	return t, p.After(ctx, conn)
}

// process runs the Work on a batch.
func (r *Rehearsal) process(ctx context.Context, j *control.Job) (rows int64, err error) {
	w, conn := r.worker, r.worker.session.conn
	b := w.batch(j)
	if r.plan.run == nil {
		params, err := bounds(b, r.plan.wantStart)
		if err != nil {
			return 0, err
		}
		name := stmtNext
		if b.First {
			name = stmtFirst
		}
		tag, err := conn.PgConn().ExecPrepared(ctx, name, params, nil, nil).Close()
		return tag.RowsAffected(), err
	}
	if w.target.null != "" {
		switch b.Rows, err = (&nulls{worker: w}).pick(ctx, j.BatchSize); {
		case errors.Is(err, errNoRows):
			return 0, nil
		case err != nil:
			return 0, err
		}
	}
	h := &handle{conn: conn}
	result, err := guardedValue(ctx, w.log, func() (registry.Result, error) { return r.plan.run(ctx, h, b) })
	h.over = true
	return result.Rows, err
}

func exec(ctx context.Context, conn *pgx.Conn, statements ...string) error {
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s, control.Once); err != nil {
			return err
		}
	}
	return nil
}
