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

// statement is a part of a group that is sent with its text.
type statement struct {
	sql     string
	args    []string
	row     func(values [][]byte) // called with every row; nil: nobody reads them
	prepare bool                  // under this name, and no more
	name    string
}

// prepared is a statement to be prepared, not executed.
func prepared(name, sql string) statement { return statement{sql: sql, prepare: true, name: name} }

// sendGroup writes one group of statements, without flushing it.
func sendGroup(p *pgconn.Pipeline, group []statement) {
	for _, s := range group {
		if s.prepare {
			p.SendPrepare(s.name, s.sql, nil)
			continue
		}
		values := make([][]byte, len(s.args))
		for i, arg := range s.args {
			values[i] = []byte(arg)
		}
		p.SendQueryParams(s.sql, values, nil, nil, nil)
	}
	p.SendPipelineSync()
}

// readAnswers reads the answer to one group of statements.
func readAnswers(p *pgconn.Pipeline, group []statement) error {
	err := readGroup(p, func(i int, values [][]byte) {
		if row := group[i].row; row != nil {
			row(values)
		}
	}, nil)
	var g *groupError
	if errors.As(err, &g) && g.statement < len(group) && group[g.statement].prepare {
		return fmt.Errorf("prepare %s: %w", group[g.statement].name, err)
	}
	return err
}

// converse sends groups of statements in one write, each a transaction of its own, and reads the answers. It
// returns the first error; the groups behind it are executed all the same.
func converse(ctx context.Context, conn *pgx.Conn, groups ...[]statement) error {
	p := conn.PgConn().StartPipeline(ctx)
	for _, g := range groups {
		sendGroup(p, g)
	}
	err := flush(p)
	for _, g := range groups {
		if err == nil {
			err = readAnswers(p, g)
		}
	}
	if closeErr := closePipeline(p); err == nil {
		err = closeErr
	}
	return err
}

// prepareAll prepares statements in one round trip. Only a pipeline can use them.
func prepareAll(ctx context.Context, conn *pgx.Conn, group []statement) error {
	return converse(ctx, conn, group)
}

// flush sends what was written.
func flush(p *pgconn.Pipeline) error {
	if err := p.Flush(); err != nil {
		return fmt.Errorf("%w: %w", errConnection, err)
	}
	return nil
}

// closePipeline reads what has not been read, and only returns how the connection ended, if it did.
func closePipeline(p *pgconn.Pipeline) error {
	err := p.Close()
	if _, answered := errors.AsType[*pgconn.PgError](err); err == nil || answered {
		return nil
	}
	return fmt.Errorf("%w: %w", errConnection, err)
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
