package executor

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/registry"
)

// plan is the form in which a Work's batches run. Either run is set, for an
// explicit transaction, or first and next are, to be prepared on the session: a
// [registry.Statement] is one that cannot end the transaction it shares with the fence.
type plan struct {
	run         runFunc
	wantStart   bool // batches need the first key of their range
	first, next string
}

// runFunc is a Work's callback.
type runFunc = func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error)

// The names of the prepared statements of a pipelined batch.
const (
	stmtFence = "bbmd_fence"
	stmtFirst = "bbmd_work_first" // the first batch: its lower bound is inclusive
	stmtNext  = "bbmd_work_next"
)

// plan decides how the Work runs.
func (w *worker) plan(ctx context.Context) (plan, error) {
	if w.work.Run != nil {
		return plan{run: w.work.Run, wantStart: true}, nil
	}
	statement, err := guardedValue(ctx, w.log, func() (registry.Statement, error) { return w.work.SQL(w.migration()) })
	if err != nil {
		return plan{}, refuse(control.CodeWork, "statement of %s: %v", w.work.Name, err)
	}
	if w.target.null != "" {
		return w.byAddress(statement)
	}
	first, err := statement.Bind(w.target.key, true)
	if err == nil {
		var next string
		if next, err = statement.Bind(w.target.key, false); err == nil {
			return plan{wantStart: statement.UsesStart(), first: first, next: next}, nil
		}
	}
	return plan{}, refuse(control.CodeWork, "statement of %s: %v", w.work.Name, err)
}

// byAddress runs a statement on rows by their address, for the strategy "null".
func (w *worker) byAddress(statement registry.Statement) (plan, error) {
	text, err := statement.BindRows()
	if err != nil {
		return plan{}, refuse(control.CodeWork, "statement of %s: %v", w.work.Name, err)
	}
	return plan{run: func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
		tag, err := tx.Exec(ctx, text, b.Args()...)
		return registry.Affected(tag), err
	}}, nil
}

// genericSQL makes the server plan a Work in SQL once: its predicates are index conditions whatever the
// values, and anything but the key's index would read the table.
const genericSQL = `SELECT set_config('plan_cache_mode', 'force_generic_plan', false), set_config('enable_seqscan', 'off', false), set_config('enable_bitmapscan', 'off', false)`

// statements are what the plan's batches need on their session, to be prepared.
func (w *worker) statements(p plan) []statement {
	if p.run != nil {
		return explicitStatements(w.opts.Store, &w.target)
	}
	return []statement{{sql: genericSQL}, prepared(stmtFirst, p.first), prepared(stmtNext, p.next), prepared(stmtFence, w.opts.Store.FenceSQL(w.target.table, w.target.index))}
}

// refusedStatement is the error of preparing a plan's statements: the server's opinion of the Work's.
func (w *worker) refusedStatement(p plan, err error) error {
	if p.run != nil {
		return err
	}
	return statementError(w.work.Name, err)
}

func statementError(work string, err error) error {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || transient(err) {
		return err
	}
	f := describe(err)
	return &refusal{reason: control.Reason{Code: control.CodeWork, SQLState: f.SQLState, Message: "the statement of " + work + " is refused by the server: " + f.Message}}
}

// bounds returns the values of a bound statement's parameters: the columns of
// the lower bound, then those of the upper.
func bounds(b registry.Batch, usesStart bool) ([][]byte, error) {
	lower := b.After
	if usesStart {
		lower = b.Start
	}
	var all [][]byte
	for _, rendered := range []string{lower, b.End} {
		values, err := b.Key.Values(rendered)
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			all = append(all, []byte(v))
		}
	}
	return all, nil
}

// outcome is a batch that was committed.
type outcome struct {
	job      *control.Job
	rows     int64
	took     time.Duration
	recorded bool // rows and time are on the job's row already
}
