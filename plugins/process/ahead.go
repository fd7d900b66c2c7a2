package process

import (
	"context"
	"errors"
	"sync"

	"github.com/bbmd-dev/bbmd/plugins/process/protocol"
	"github.com/bbmd-dev/bbmd/registry"
)

var errDropped = errors.New("the batch is not run next after all")

// asked is a batch that a program was asked for ahead of its transaction. Only the program's
// first word is read then: nothing that it asks for is done before there is one.
type asked struct {
	plugin *Plugin
	spec   *WorkSpec
	ctx    context.Context // of the question, which outlives the call that asked
	drop   context.CancelCauseFunc
	talk   *talk
	heard  chan struct{} // closed when word and err are there

	word protocol.Child
	err  error

	mu      sync.Mutex
	held    bool // the program asks for something, and waits for the transaction
	dropped bool
}

var _ registry.Begun = (*asked)(nil)

// ask asks a program for a batch ahead, where one waits for a task.
func (p *Plugin) ask(ctx context.Context, spec *WorkSpec, b registry.Batch) registry.Begun {
	message, err := spec.batch(b)
	if err != nil {
		return nil // the batch will say so itself
	}
	c := p.acquireIdle()
	if c == nil {
		return nil
	}
	a := &asked{plugin: p, spec: spec, talk: c.talk(spec, nil, writingCommands), heard: make(chan struct{})}
	a.ctx, a.drop = context.WithCancelCause(ctx)
	message.ID = a.talk.id
	p.all.Go(func() { a.run(message) })
	return a
}

// run asks and listens. The program is free for others as soon as it has answered.
func (a *asked) run(message protocol.Batch) {
	defer close(a.heard)
	limited, cancel := context.WithTimeout(a.ctx, a.talk.timeout)
	defer cancel()
	kind := ends
	a.word, a.err = a.talk.begin(a.ctx, limited, message)
	if a.err == nil {
		kind, a.err = a.talk.kindOf(a.word)
	}
	if a.err == nil && kind == asks {
		if a.hold() {
			return
		}
		a.err = a.talk.cancel(a.ctx)
	}
	a.err = a.plugin.release(a.talk.child, misplacedIn(a.word, a.err))
}

// hold keeps the program for the batch's transaction, unless that will not come.
func (a *asked) hold() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held = !a.dropped
	return a.held
}

// letGo reports whether the program was held, which it is not any more.
func (a *asked) letGo() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	held := a.held
	a.held, a.dropped = false, true
	return held
}

// Drop takes the question back. The program is free as soon as it agrees, or ended.
func (a *asked) Drop() {
	a.drop(errDropped)
	if a.letGo() {
		// The program is in use, so that whoever waits for all of them is not through yet.
		a.plugin.all.Go(func() { _ = a.plugin.release(a.talk.child, a.talk.cancel(a.ctx)) }) // it is told in the log
	}
}

// conclude goes on with the answer, or the conversation, in the batch's transaction.
func (a *asked) conclude(ctx context.Context, db registry.Querier, ended conclusion) error {
	defer a.drop(nil)
	select {
	case <-a.heard:
	case <-ctx.Done():
		a.Drop()
		return context.Cause(ctx)
	}
	a.talk.db = db
	if !a.letGo() {
		answer, err := ended(a.talk, a.word, a.err)
		return a.talk.outcome(a.spec, answer, err)
	}
	limited, cancel := context.WithTimeout(ctx, a.talk.timeout)
	defer cancel()
	answer, err := a.talk.serve(ctx, limited, a.word)
	answer, err = ended(a.talk, answer, err)
	return a.talk.outcome(a.spec, answer, a.plugin.release(a.talk.child, err))
}
