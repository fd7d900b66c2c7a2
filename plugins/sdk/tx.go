package sdk

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/bbmd-dev/bbmd/plugins/process/protocol"
)

var (
	errNotYours = errors.New("the transaction belongs to the batch: it is committed when the Work returns nil, and rolled back when it returns an error")
	errOver     = errors.New("the Work has returned: its transaction cannot be used any more")
	errNoConn   = errors.New("not possible in a process plugin, whose statements bbmd runs: use Exec and Query, or compile the Work into bbmd")
)

// tx is the batch's transaction as a Work in another process sees it.
type tx struct {
	server *server
	id     int64
	seq    int64
	over   bool
}

var _ pgx.Tx = (*tx)(nil)

// ask sends a statement and waits for what became of it.
func (t *tx) ask(ctx context.Context, render func(seq int64, s protocol.Statement) protocol.Child, sql string, args []any) (protocol.Host, error) {
	if t.over {
		return nil, errOver
	}
	sql, args, err := plain(ctx, sql, args)
	if err != nil {
		return nil, err
	}
	values, err := texts(args)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	t.seq++
	if err := t.server.write(render(t.seq, protocol.Statement{SQL: sql, Args: values})); err != nil {
		return nil, fmt.Errorf("write to bbmd: %w", err)
	}
	for {
		select {
		case answer := <-t.server.answers:
			id, seq, failed := about(answer)
			if id != t.id || seq != t.seq {
				continue // of a statement that nobody waited for, as it was cancelled
			}
			return answer, failed
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-t.server.over:
			return nil, errShutdown
		}
	}
}

// about returns which task and statement an answer is about, and its error.
func about(answer protocol.Host) (id, seq int64, err error) {
	switch a := answer.(type) {
	case protocol.Rows:
		return a.ID, a.Seq, nil
	case protocol.OK:
		return a.ID, a.Seq, nil
	case protocol.Error:
		failed := &pgconn.PgError{Severity: "ERROR", Code: a.Code, Message: a.Message}
		if a.Detail != nil {
			failed.Detail = *a.Detail
		}
		if a.Hint != nil {
			failed.Hint = *a.Hint
		}
		return a.ID, a.Seq, failed
	default:
		return 0, 0, nil
	}
}

// Exec runs a statement. Its tag says how many rows were affected, and nothing else.
func (t *tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	answer, err := t.ask(ctx, func(seq int64, s protocol.Statement) protocol.Child {
		return protocol.Exec{ID: t.id, Seq: seq, Statement: s}
	}, sql, args)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	ok, is := answer.(protocol.OK)
	if !is {
		return pgconn.CommandTag{}, fmt.Errorf("unexpected answer %T", answer)
	}
	return pgconn.NewCommandTag(fmt.Sprintf("OK %d", ok.Affected)), nil
}

// Query runs a statement and returns its rows, all of which are there when it returns.
func (t *tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	answer, err := t.ask(ctx, func(seq int64, s protocol.Statement) protocol.Child {
		return protocol.Query{ID: t.id, Seq: seq, Statement: s}
	}, sql, args)
	if err != nil {
		return &rows{err: err, closed: true}, err
	}
	found, ok := answer.(protocol.Rows)
	if !ok {
		err := fmt.Errorf("unexpected answer %T", answer)
		return &rows{err: err, closed: true}, err
	}
	return newRows(found), nil
}

// QueryRow runs a statement and returns its first row.
func (t *tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	all, err := t.Query(ctx, sql, args...)
	return row{all, err}
}

// Commit is refused.
func (*tx) Commit(context.Context) error { return errNotYours }

// Rollback is refused.
func (*tx) Rollback(context.Context) error { return errNotYours }

// Begin is refused.
func (*tx) Begin(context.Context) (pgx.Tx, error) { return nil, fmt.Errorf("begin: %w", errNoConn) }

// CopyFrom is refused.
func (*tx) CopyFrom(context.Context, pgx.Identifier, []string, pgx.CopyFromSource) (int64, error) {
	return 0, fmt.Errorf("copy: %w", errNoConn)
}

// Prepare is refused.
func (*tx) Prepare(context.Context, string, string) (*pgconn.StatementDescription, error) {
	return nil, fmt.Errorf("prepare: %w", errNoConn)
}

// SendBatch is refused: every result is an error.
func (*tx) SendBatch(context.Context, *pgx.Batch) pgx.BatchResults { return noResults{} }

// LargeObjects returns what cannot be used.
func (*tx) LargeObjects() pgx.LargeObjects { return pgx.LargeObjects{} }

// Conn returns nil.
func (*tx) Conn() *pgx.Conn { return nil }

// noResults are the results of a batch of statements that was not sent.
type noResults struct{}

var errNoBatch = fmt.Errorf("send a batch: %w", errNoConn)

func (noResults) Exec() (pgconn.CommandTag, error) { return pgconn.CommandTag{}, errNoBatch }
func (noResults) Query() (pgx.Rows, error)         { return &rows{err: errNoBatch, closed: true}, errNoBatch }
func (noResults) QueryRow() pgx.Row                { return row{nil, errNoBatch} }
func (noResults) Close() error                     { return errNoBatch }
func (noResults) Tx() pgx.Tx                       { return nil }

// plain takes pgx's options and rewriters out of the arguments.
func plain(ctx context.Context, sql string, args []any) (string, []any, error) {
	for len(args) > 0 {
		switch arg := args[0].(type) {
		case pgx.QueryExecMode, pgx.QueryResultFormats, pgx.QueryResultFormatsByOID:
			args = args[1:] // bbmd chooses
		case pgx.QueryRewriter:
			return rewrite(ctx, arg, sql, args[1:])
		default:
			return sql, args, nil
		}
	}
	return sql, args, nil
}

func rewrite(ctx context.Context, by pgx.QueryRewriter, sql string, args []any) (string, []any, error) {
	text, values, err := by.RewriteQuery(ctx, nil, sql, args)
	if err != nil {
		return "", nil, fmt.Errorf("rewrite query: %w", err)
	}
	return text, values, nil
}

// typeMap knows the types of PostgreSQL itself. It is not for concurrent use, so
// everybody makes one.
func typeMap() *pgtype.Map { return pgtype.NewMap() }
