package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/plugins/process/protocol"
	"github.com/bbmd-dev/bbmd/registry"
)

// greet waits for a new program's hello and compares it with the manifest.
func (c *child) greet(ctx context.Context, m *Manifest) error {
	err := c.send(ctx, protocol.Init{Protocol: protocol.Version, Daemon: c.options.Daemon, Plugin: m.Name, MaxLine: c.options.MaxLine})
	if err != nil {
		return err
	}
	message, err := c.receive(ctx)
	if err != nil {
		return err
	}
	hello, ok := message.(protocol.Hello)
	switch {
	case !ok:
		return fmt.Errorf("%w: it has to say hello first", errKind)
	case hello.Protocol != protocol.Version:
		return fmt.Errorf("it speaks protocol %d and the manifest says %d: change one of both", hello.Protocol, m.Protocol)
	case hello.Name != m.Name || hello.Version != m.Version:
		return fmt.Errorf("it says it is %s %q and the manifest says %s %q: change one of both", clip(hello.Name), clip(hello.Version), m.Name, m.Version)
	}
	has := map[string]bool{}
	for _, name := range hello.Works {
		has[name] = true
	}
	for _, w := range m.Works {
		if !has[w.Name] {
			return fmt.Errorf("it does not have the Work %s, which the manifest lists: change one of both", w.Name)
		}
	}
	return nil
}

// talk is one task of a program: what it says, and what is done about it.
type talk struct {
	child   *child
	db      registry.Querier
	allowed string // commands
	id      int64
	timeout time.Duration // of the whole task
	served  bool          // it has asked for something
	failed  error         // the first failure of its statements: the transaction is lost
}

// run sends a task and serves its statements until it is answered. The answer
// is one of Done, Fail and Unverifiable. After a brokenError the program is of no
// use any more.
func (t *talk) run(ctx context.Context, task protocol.Host) (protocol.Child, error) {
	limited, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	message, err := t.begin(ctx, limited, task)
	if err != nil {
		return nil, err
	}
	return t.serve(ctx, limited, message)
}

// begin sends a task and returns the program's first word. limited is ctx with the task's time.
func (t *talk) begin(ctx, limited context.Context, task protocol.Host) (protocol.Child, error) {
	if err := t.send(limited, task); err != nil {
		return nil, err
	}
	return t.hear(ctx, limited)
}

// serve does what a message asks for, and those after it, until the task is answered.
func (t *talk) serve(ctx, limited context.Context, message protocol.Child) (protocol.Child, error) {
	for {
		answer, err := t.answer(ctx, message)
		switch {
		case err != nil:
			return nil, err
		case answer == nil:
			return message, nil
		}
		if limited.Err() != nil {
			return nil, t.cancel(ctx)
		}
		if err := t.send(limited, answer); err != nil {
			return nil, err
		}
		if message, err = t.hear(ctx, limited); err != nil {
			return nil, err
		}
	}
}

// hear returns the program's next word.
func (t *talk) hear(ctx, limited context.Context) (protocol.Child, error) {
	message, err := t.child.receive(limited)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, t.cancel(ctx)
	case err != nil:
		return nil, &brokenError{err: err}
	default:
		return message, nil
	}
}

// brokenError says that a program cannot be talked to any more.
type brokenError struct {
	err   error
	after error // why the task had been cancelled before, or nil
}

func (e *brokenError) Error() string { return e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

// send writes a message. A program that does not read it in time has to be killed,
// since it may have read a part.
func (t *talk) send(ctx context.Context, m protocol.Host) error {
	err := t.child.send(ctx, m)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return &brokenError{err: err, after: whyOver(ctx, t.timeout)}
	default:
		return &brokenError{err: err}
	}
}

// whyOver says why nobody waits for a task any more.
func whyOver(ctx context.Context, timeout time.Duration) error {
	if why := context.Cause(ctx); why != nil && !errors.Is(why, context.DeadlineExceeded) {
		return why
	}
	return fmt.Errorf("the plugin took longer than %s: make batches smaller, or raise timeout in its manifest", timeout)
}

// cancel tells the program that nobody waits any more, and waits for it to agree.
func (t *talk) cancel(ctx context.Context) error {
	why := whyOver(ctx, t.timeout)
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.child.options.CancelGrace)
	defer cancel()
	err := t.child.send(grace, protocol.Cancel{ID: t.id})
	for err == nil {
		var message protocol.Child
		if message, err = t.child.receive(grace); err != nil {
			break
		}
		switch id, kind := idOf(message); {
		case id != t.id:
			err = errWrongID
		case kind == ends:
			return why
		}
	}
	return &brokenError{err: err, after: why}
}

// kind tells messages apart by what they do to a task.
type kind int

const (
	misplaced kind = iota
	asks
	ends
)

// idOf returns the task that a message is about, and what it does to it.
func idOf(message protocol.Child) (int64, kind) {
	switch m := message.(type) {
	case protocol.Query:
		return m.ID, asks
	case protocol.Exec:
		return m.ID, asks
	case protocol.Done:
		return m.ID, ends
	case protocol.Fail:
		return m.ID, ends
	case protocol.Unverifiable:
		return m.ID, ends
	default:
		return 0, misplaced
	}
}

// kindOf returns what a message does to this task. Its error says that it is about another, or none.
func (t *talk) kindOf(message protocol.Child) (kind, error) {
	switch id, kind := idOf(message); {
	case kind == misplaced:
		return kind, &brokenError{err: errKind}
	case id != t.id:
		return kind, &brokenError{err: fmt.Errorf("%w: %d, and the task is %d", errWrongID, id, t.id)}
	default:
		return kind, nil
	}
}

// answer runs what a message asks for. It returns nil where the message is the
// task's end.
func (t *talk) answer(ctx context.Context, message protocol.Child) (protocol.Host, error) {
	kind, err := t.kindOf(message)
	if err != nil || kind == ends {
		return nil, err
	}
	t.served = true
	switch m := message.(type) {
	case protocol.Query:
		rows, err := query(ctx, t, m)
		if err != nil {
			return t.refuse(m.Seq, err), nil
		}
		return rows, nil
	case protocol.Exec:
		affected, err := t.exec(ctx, m.Statement)
		if err != nil {
			return t.refuse(m.Seq, err), nil
		}
		return protocol.OK{ID: t.id, Seq: m.Seq, Affected: affected}, nil
	default:
		return nil, &brokenError{err: errKind}
	}
}

// refuse notes a statement's failure and renders it.
func (t *talk) refuse(seq int64, err error) protocol.Error {
	if t.failed == nil {
		t.failed = err
	}
	answer := protocol.Error{ID: t.id, Seq: seq, Code: "0A000", Message: err.Error()}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		answer.Code, answer.Message = pgErr.Code, pgErr.Message
		if pgErr.Detail != "" {
			answer.Detail = &pgErr.Detail
		}
		if pgErr.Hint != "" {
			answer.Hint = &pgErr.Hint
		}
	}
	return answer
}
