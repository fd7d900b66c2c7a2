package executor

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// runGroup sends one group of statements in one write, and reads its answer.
func runGroup(ctx context.Context, conn *pgx.Conn, send func(*pgconn.Pipeline)) error {
	return readingGroup(ctx, conn, send, func() {}, nil)
}

// readingGroup does the same, calls sent when the group is on its way, and done with every statement's command tag.
func readingGroup(ctx context.Context, conn *pgx.Conn, send func(*pgconn.Pipeline), sent func(), done func(statement int, tag pgconn.CommandTag)) error {
	p := conn.PgConn().StartPipeline(ctx)
	send(p)
	p.SendPipelineSync()
	err := p.Flush()
	if err != nil {
		err = fmt.Errorf("%w: %w", errConnection, err)
	} else {
		sent()
		err = readGroup(p, nil, done)
	}
	if closeErr := p.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("%w: %w", errConnection, closeErr)
	}
	return err
}

// named is a prepared statement: its name and its text.
type named [2]string

// prepareAll prepares statements in one round trip. Only a pipeline can use them.
func prepareAll(ctx context.Context, conn *pgx.Conn, statements []named) error {
	err := runGroup(ctx, conn, func(p *pgconn.Pipeline) {
		for _, s := range statements {
			p.SendPrepare(s[0], s[1], nil)
		}
	})
	var g *groupError
	if errors.As(err, &g) && g.statement < len(statements) {
		return fmt.Errorf("prepare %s: %w", statements[g.statement][0], err)
	}
	return err
}

// groupError is an error of the server inside a group, with the place of its statement.
type groupError struct {
	statement int
	err       error
}

func (e *groupError) Error() string { return e.err.Error() }
func (e *groupError) Unwrap() error { return e.err }

// readGroup reads the results of one group up to and including its Sync. It
// calls row with every row, whose values are text and valid only during the
// call, and done with every statement's command tag; both may be nil. The first error of the
// group is returned as a [groupError]; an error that ended the connection wraps [errConnection].
func readGroup(p *pgconn.Pipeline, row func(statement int, values [][]byte), done func(statement int, tag pgconn.CommandTag)) error {
	var failed error
	for statement := 0; ; statement++ {
		results, err := p.GetResults()
		if reader, ok := results.(*pgconn.ResultReader); ok && err == nil {
			err = readResult(reader, statement, row, done)
		}
		if err != nil {
			var pgErr *pgconn.PgError
			if !errors.As(err, &pgErr) {
				return fmt.Errorf("%w: %w", errConnection, err)
			}
			if pgErr.Severity == "FATAL" || pgErr.Severity == "PANIC" {
				return &groupError{statement, fmt.Errorf("%w: %w", errConnection, err)}
			}
			failed = &groupError{statement, err}
			continue
		}
		if _, ok := results.(*pgconn.PipelineSync); ok {
			return failed
		}
		if results == nil {
			return fmt.Errorf("%w: the pipeline ended inside a group", errConnection)
		}
	}
}

func readResult(reader *pgconn.ResultReader, statement int, row func(int, [][]byte), done func(int, pgconn.CommandTag)) error {
	for reader.NextRow() {
		if row != nil {
			row(statement, reader.Values())
		}
	}
	tag, err := reader.Close()
	if err == nil && done != nil {
		done(statement, tag)
	}
	return err
}
