package migtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/registry"
)

var (
	errNotYours  = errors.New("the transaction belongs to the batch: it is committed when the Work returns nil, and rolled back when it returns an error")
	errEnded     = errors.New("the Work ended the batch's transaction itself, by COMMIT or ROLLBACK: what it wrote is not kept together with the batch's bookkeeping")
	errAfterFail = errors.New("the Work went on after a statement had failed, and returned no error: its transaction cannot be committed")
)

// handle is the transaction as a Work sees it: the executor lets it neither
// commit nor roll back.
type handle struct{ pgx.Tx }

func (handle) Commit(context.Context) error   { return errNotYours }
func (handle) Rollback(context.Context) error { return errNotYours }

// commit runs a batch in a transaction of its own.
func (r *trial) commit(ctx context.Context, conn *pgx.Conn, b registry.Batch) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if _, err := r.process(ctx, tx, b); err != nil {
		_ = tx.Rollback(ctx) // the first error says it all
		return fmt.Errorf("batch %s: %w", describe(b), err)
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit batch %s: %w", describe(b), err)
	}
	return nil
}

// process runs a batch in a transaction that stays open.
func (r *trial) process(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
	const setting = "bbmd.batch" // lives exactly as long as the transaction
	if _, err := tx.Exec(ctx, "SELECT set_config($1, $2, true)", setting, b.End); err != nil {
		return registry.Result{}, err
	}
	result, err := r.call(ctx, tx, b)
	if err != nil {
		return result, err
	}
	switch tx.Conn().PgConn().TxStatus() {
	case 'E':
		return result, errAfterFail
	case 'I':
		return result, errEnded
	}
	var found string
	if err := tx.QueryRow(ctx, "SELECT coalesce(current_setting($1, true), '')", setting).Scan(&found); err != nil {
		return result, err
	}
	if found != b.End {
		return result, errEnded
	}
	if result.Rows < 0 {
		return result, fmt.Errorf("the Work reports %d rows: it has to be 0 or more", result.Rows)
	}
	return result, nil
}

// call is the Work itself, in either of its forms.
func (r *trial) call(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
	if r.Work.Run != nil {
		return r.Work.Run(ctx, handle{tx}, b)
	}
	statement, err := r.Work.SQL(r.migration(r.at))
	if err != nil {
		return registry.Result{}, err
	}
	text, err := statement.Bind(b.Key, b.First)
	if err != nil {
		return registry.Result{}, err
	}
	if statement.UsesStart() {
		b.After = b.Start
	}
	tag, err := tx.Exec(ctx, text, b.Args()...)
	return registry.Affected(tag), err
}

// all commits batches one after the other.
func (r *trial) all(batches []registry.Batch) {
	r.t.Helper()
	conn := r.conn()
	for _, b := range batches {
		r.must(r.commit(r.t.Context(), conn, b), "the Work fails")
	}
}

// resumed commits batches one after the other, each on a session of its own, as
// if the daemon had been started anew after every one.
func (r *trial) resumed(batches []registry.Batch) {
	r.t.Helper()
	for _, b := range batches {
		conn, err := connect(r.t.Context(), r.db.URL)
		r.must(err, "connect")
		err = r.commit(r.t.Context(), conn, b)
		hangUp(conn)
		r.must(err, "the Work fails")
	}
}
