package executor

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/trace"
)

var (
	errNotYours  = errors.New("the transaction belongs to the batch: it is committed when the Work returns nil, and rolled back when it returns an error")
	errHandedIn  = errors.New("the Work has returned: its transaction handle cannot be used any more")
	errLeftOpen  = errors.New("the Work returned before it had closed its rows or results; close them, as with defer rows.Close()")
	errAfterFail = errors.New("the Work went on after a statement had failed, and returned no error; its transaction cannot be committed")
)

// misused reports whether a Work broke the rules of its transaction, which has
// nothing to do with the rows it was given.
func misused(err error) bool {
	for _, rule := range []error{errNotYours, errHandedIn, errLeftOpen, errAfterFail} {
		if errors.Is(err, rule) {
			return true
		}
	}
	return false
}

// handle is the transaction as a Work sees it: it reads and writes, and can
// neither commit nor roll back, nor be used after the Work has returned.
type handle struct {
	conn        *pgx.Conn
	base        pgx.Tx       // for nested transactions and large objects; nil until one is asked for
	tracer      trace.Tracer // nil: no spans
	over        bool
	deallocated bool // the Work dropped prepared statements, the executor's among them
	lent        bool // the Work has got what is pgx's own: it may keep it
}

// see notes statements that take the session's prepared statements away.
func (h *handle) see(tag pgconn.CommandTag) {
	if s := tag.String(); strings.HasPrefix(s, "DEALLOCATE") || strings.HasPrefix(s, "DISCARD") {
		h.deallocated = true
	}
}

// Begin starts a nested transaction: a savepoint.
func (h *handle) Begin(ctx context.Context) (pgx.Tx, error) {
	base, err := h.baseTx(ctx)
	if err != nil {
		return nil, err
	}
	return base.Begin(ctx)
}

// baseTx returns pgx's own handle of the transaction that is open already.
func (h *handle) baseTx(ctx context.Context) (pgx.Tx, error) {
	if h.over {
		return nil, errHandedIn
	}
	h.lent = true
	if h.base != nil {
		return h.base, nil
	}
	base, err := h.conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: "-- the batch's transaction is open"})
	h.base = base
	return base, err
}

// Commit is refused.
func (h *handle) Commit(context.Context) error { return errNotYours }

// Rollback is refused.
func (h *handle) Rollback(context.Context) error { return errNotYours }

// Exec runs a statement in the batch's transaction.
func (h *handle) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if h.over {
		return pgconn.CommandTag{}, errHandedIn
	}
	h.passes(args)
	if h.tracer == nil {
		tag, err := h.conn.Exec(ctx, sql, args...)
		h.see(tag)
		return tag, err
	}
	ctx, span := h.traceWork(ctx, sql)
	tag, err := h.conn.Exec(ctx, sql, args...)
	endSpan(span, time.Now(), err)
	h.see(tag)
	return tag, err
}

// Query runs a query in the batch's transaction.
func (h *handle) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if h.over {
		return nil, errHandedIn
	}
	h.passes(args)
	if h.tracer == nil {
		rows, err := h.conn.Query(ctx, sql, args...)
		return lending{rows, h}, err
	}
	ctx, span := h.traceWork(ctx, sql)
	rows, err := h.conn.Query(ctx, sql, args...)
	endSpan(span, time.Now(), err) // rows are read outside of it
	return lending{rows, h}, err
}

// lending are rows that note who asks them for their connection.
type lending struct {
	pgx.Rows
	h *handle
}

func (l lending) Conn() *pgx.Conn { return l.h.Conn() }

// passes notes that the connection goes to code of the Work's own, which writes its statement and gets it for that.
func (h *handle) passes(args []any) {
	for _, arg := range args {
		switch arg.(type) {
		case pgx.NamedArgs, pgx.StrictNamedArgs:
		case pgx.QueryRewriter:
			h.lent = true
		}
	}
}

// QueryRow runs a query in the batch's transaction.
func (h *handle) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if h.over {
		return errorRow{}
	}
	h.passes(args)
	if h.tracer == nil {
		return h.conn.QueryRow(ctx, sql, args...)
	}
	ctx, span := h.traceWork(ctx, sql)
	row := h.conn.QueryRow(ctx, sql, args...)
	endSpan(span, time.Now(), nil)
	return row
}

type errorRow struct{}

func (errorRow) Scan(...any) error { return errHandedIn }

// CopyFrom copies rows in the batch's transaction.
func (h *handle) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	if h.over {
		return 0, errHandedIn
	}
	if h.tracer == nil {
		return h.conn.CopyFrom(ctx, table, columns, rows)
	}
	ctx, span := h.traceWork(ctx, "COPY")
	n, err := h.conn.CopyFrom(ctx, table, columns, rows)
	endSpan(span, time.Now(), err)
	return n, err
}

// SendBatch sends queued statements in the batch's transaction.
func (h *handle) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if h.over {
		return errorResults{}
	}
	h.lent = true // what it returns leads to the connection in many ways
	return h.conn.SendBatch(ctx, b)
}

type errorResults struct{}

func (errorResults) Exec() (pgconn.CommandTag, error) { return pgconn.CommandTag{}, errHandedIn }
func (errorResults) Query() (pgx.Rows, error)         { return nil, errHandedIn }
func (errorResults) QueryRow() pgx.Row                { return errorRow{} }
func (errorResults) Close() error                     { return errHandedIn }
func (errorResults) Tx() pgx.Tx                       { return nil }

// LargeObjects returns the large objects of the batch's transaction.
func (h *handle) LargeObjects() pgx.LargeObjects {
	base, err := h.baseTx(context.Background())
	if err != nil {
		return pgx.LargeObjects{}
	}
	return base.LargeObjects()
}

// Prepare prepares a statement on the batch's connection.
func (h *handle) Prepare(ctx context.Context, name, sql string) (*pgconn.StatementDescription, error) {
	if h.over {
		return nil, errHandedIn
	}
	return h.conn.Prepare(ctx, name, sql)
}

// Conn returns the batch's connection, for what only pgx.Conn can do. Ending
// the transaction on it fails the migration.
// It is nil once the Work has returned: by then it may be another migration's.
func (h *handle) Conn() *pgx.Conn {
	if h.over {
		return nil
	}
	h.lent = true
	return h.conn
}
