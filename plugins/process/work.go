package process

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/plugins/process/protocol"
	"github.com/bbmd-dev/bbmd/registry"
)

// work makes a Work of what the manifest says.
func (p *Plugin) work(spec *WorkSpec) registry.Work {
	w := registry.Work{
		Name: spec.Name, Version: spec.Version, Summary: spec.Summary, Arguments: spec.target(),
		Run: func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
			return p.batch(ctx, spec, tx, b)
		},
		Check: func(ctx context.Context, db registry.Querier, m registry.Migration) error {
			return p.check(ctx, spec, db, m)
		},
	}
	if spec.Verify {
		w.Verify = func(ctx context.Context, db registry.Querier, b registry.Batch) (int64, error) {
			return p.verify(ctx, spec, db, b)
		}
	}
	return w
}

// task fills in what all tasks have in common.
func (w *WorkSpec) task(m registry.Migration) (protocol.Task, error) {
	arguments, err := w.arguments(m.Arguments)
	if err != nil {
		return protocol.Task{}, err
	}
	t := protocol.Task{
		Work: w.Name, Migration: m.Name, Table: m.Table, Key: []protocol.Column{},
		Arguments: arguments, DeadlineMS: time.Duration(w.Timeout).Milliseconds(),
	}
	for _, c := range m.Key {
		t.Key = append(t.Key, protocol.Column(c))
	}
	return t, nil
}

func migration(b registry.Batch) registry.Migration {
	return registry.Migration{Name: b.Migration, Table: b.Table, Key: b.Key, Arguments: b.Arguments}
}

func within(b registry.Batch) protocol.Range {
	r := protocol.Range{Where: b.Where(), Args: []string{}, First: b.First, After: b.After, Start: b.Start, End: b.End, Rows: b.Rows}
	for _, arg := range b.Args() {
		r.Args = append(r.Args, fmt.Sprint(arg))
	}
	return r
}

// batch processes a batch. A program that has answered without asking for anything is asked for the next one
// while the server is at the end of this.
func (p *Plugin) batch(ctx context.Context, spec *WorkSpec, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
	var rows int64
	var served bool
	ended := func(t *talk, answer protocol.Child, err error) (protocol.Child, error) {
		if done, ok := answer.(protocol.Done); ok && err == nil && t.failed == nil {
			rows, err = t.finish(ctx, done)
		}
		served = t.served
		return answer, misplacedIn(answer, err)
	}
	err := p.process(ctx, spec, tx, b, ended)
	if ahead, ok := tx.(registry.Ahead); ok && err == nil && !served {
		ahead.Ahead(func(ctx context.Context, next registry.Batch) registry.Begun { return p.ask(ctx, spec, next) })
	}
	return registry.Result{Rows: rows}, err
}

// process lets a program do a batch that it may have been asked for already.
func (p *Plugin) process(ctx context.Context, spec *WorkSpec, tx pgx.Tx, b registry.Batch, ended conclusion) error {
	if ahead, ok := tx.(registry.Ahead); ok {
		if a, ok := ahead.Begun().(*asked); ok {
			return a.conclude(ctx, tx, ended)
		}
	}
	message, err := spec.batch(b)
	if err != nil {
		return err
	}
	return p.do(ctx, spec, tx, writingCommands, func(t *talk) (protocol.Child, error) {
		message.ID = t.id
		answer, err := t.run(ctx, message)
		return ended(t, answer, err)
	})
}

// conclusion does what a program has left to do with its answer.
type conclusion func(t *talk, answer protocol.Child, err error) (protocol.Child, error)

func (w *WorkSpec) batch(b registry.Batch) (protocol.Batch, error) {
	common, err := w.task(migration(b))
	return protocol.Batch{Task: common, Range: within(b), Size: b.Size, Attempt: b.Attempt}, err
}

// misplacedIn adds to an error that the end of a verification is none of a batch or a check.
func misplacedIn(answer protocol.Child, err error) error {
	if _, misplaced := answer.(protocol.Unverifiable); misplaced && err == nil {
		return &brokenError{err: errKind}
	}
	return err
}

// finish runs the statements that a program has left to us, or leaves them to the batch's transaction
// in turn, where nobody has to wait for their answers.
func (t *talk) finish(ctx context.Context, done protocol.Done) (rows int64, err error) {
	if finisher, ok := t.db.(registry.Finisher); ok && done.Affected == nil {
		commands, err := t.commands(done)
		if err != nil {
			return 0, err
		}
		return 0, finisher.Finish(commands...)
	}
	for i, s := range done.Statements {
		affected, err := t.exec(ctx, s)
		if err != nil {
			return 0, fmt.Errorf("statement %d: %w", i+1, err)
		}
		rows += affected
	}
	if done.Affected != nil {
		rows = *done.Affected
	}
	return rows, nil
}

// commands are the statements that a program has left to us, checked.
func (t *talk) commands(done protocol.Done) ([]registry.Command, error) {
	commands := make([]registry.Command, 0, len(done.Statements))
	for i, s := range done.Statements {
		if err := checkStatement(s.SQL, t.allowed); err != nil {
			return nil, fmt.Errorf("statement %d: %w", i+1, err)
		}
		commands = append(commands, registry.Command{SQL: s.SQL, Args: s.Args})
	}
	return commands, nil
}

// verify asks how many rows of a range are not as they should be.
func (p *Plugin) verify(ctx context.Context, spec *WorkSpec, db registry.Querier, b registry.Batch) (wrong int64, err error) {
	common, err := spec.task(migration(b))
	if err != nil {
		return 0, err
	}
	message := protocol.Verify{Task: common, Range: within(b)}
	err = p.read(ctx, spec, db, func(t *talk) (protocol.Child, error) {
		message.ID = t.id
		answer, err := t.run(ctx, message)
		switch answer := answer.(type) {
		case protocol.Done:
			wrong = answer.Wrong
		case protocol.Unverifiable:
			err = fmt.Errorf("%w: %s", registry.ErrUnverifiable, answer.Message)
		}
		return answer, err
	})
	return wrong, err
}

// check asks whether a migration can start. That a program ends meanwhile says
// nothing about the migration: it is asked again.
func (p *Plugin) check(ctx context.Context, spec *WorkSpec, db registry.Querier, m registry.Migration) error {
	common, err := spec.task(m)
	if err != nil || !spec.Check {
		return err
	}
	message := protocol.Check{Task: common}
	err = p.read(ctx, spec, db, func(t *talk) (protocol.Child, error) {
		message.ID = t.id
		answer, err := t.run(ctx, message)
		return answer, misplacedIn(answer, err)
	})
	if _, crashed := errors.AsType[*CrashError](err); crashed {
		return passing("%w", err)
	}
	return err
}

// read does a task that must not write. Where there is no transaction yet, it
// gets one that cannot.
func (p *Plugin) read(ctx context.Context, spec *WorkSpec, db registry.Querier, run func(*talk) (protocol.Child, error)) error {
	connection, ok := db.(interface {
		BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
	})
	if conn, is := db.(*pgx.Conn); is && conn.PgConn().TxStatus() != 'I' {
		ok = false // there is one already
	}
	if !ok {
		return p.do(ctx, spec, db, readingCommands, run)
	}
	tx, err := connection.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return fmt.Errorf("begin to read: %w", err)
	}
	err = p.do(ctx, spec, tx, readingCommands, run)
	return errors.Join(err, tx.Rollback(context.WithoutCancel(ctx)))
}

// do lets a program do a task, and makes errors of answers that are none.
func (p *Plugin) do(ctx context.Context, spec *WorkSpec, db registry.Querier, allowed string, run func(*talk) (protocol.Child, error)) error {
	c, err := p.acquire(ctx)
	if err != nil {
		return err
	}
	t := c.talk(spec, db, allowed)
	answer, err := run(t)
	return t.outcome(spec, answer, p.release(c, err))
}

// talk begins another task of a program.
func (c *child) talk(spec *WorkSpec, db registry.Querier, allowed string) *talk {
	c.tasks++
	return &talk{child: c, db: db, allowed: allowed, id: c.tasks, timeout: time.Duration(spec.Timeout)}
}

// outcome makes errors of answers that are none.
func (t *talk) outcome(spec *WorkSpec, answer protocol.Child, err error) error {
	fail, failed := answer.(protocol.Fail)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", spec.Name, err)
	case t.failed != nil: // PostgreSQL's own words, and its code
		return fmt.Errorf("%s: %w", spec.Name, t.failed)
	case failed && fail.Retryable:
		return passing("%s: %s", spec.Name, clipMessage(fail.Message))
	case failed:
		return fmt.Errorf("%s: %s", spec.Name, clipMessage(fail.Message))
	default:
		return nil
	}
}
