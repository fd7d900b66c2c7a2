package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/bbmd-dev/bbmd/plugins"
	"github.com/bbmd-dev/bbmd/registry"
)

// How often in a row programs may end badly before the plugin is called
// crashed. A batch that ends them all is narrowed down to its row meanwhile.
const (
	mostBadStarts = 5
	mostCrashes   = 20
)

// Plugin is a plugin in use: its Works, and the programs that run for them. It is
// safe for concurrent use.
type Plugin struct {
	manifest Manifest
	location location
	options  Options
	log      *slog.Logger
	works    []registry.Work
	slots    chan struct{}   // one for each program that may run
	all      *sync.WaitGroup // every goroutine of every program
	closing  chan struct{}   // closed by Close

	mu        sync.Mutex
	idle      []*child
	closed    bool
	badStarts int       // in a row
	crashes   int       // in a row, bad starts included
	notBefore time.Time // the next start
	reason    string    // of the last crash
}

var _ plugins.Opened = (*Plugin)(nil)

func newPlugin(m Manifest, at location, o Options, all *sync.WaitGroup) *Plugin {
	p := &Plugin{
		manifest: m, location: at, options: o, all: all,
		log:     o.Logger.With("plugin", m.Name),
		slots:   make(chan struct{}, m.MaxProcs),
		closing: make(chan struct{}),
	}
	for i := range m.Works {
		p.works = append(p.works, p.work(&p.manifest.Works[i]))
	}
	return p
}

// Works returns the plugin's Works, always the same.
func (p *Plugin) Works() []registry.Work { return p.works }

// State returns plugins.StateOK, or plugins.StateCrashed while its programs end
// badly again and again.
func (p *Plugin) State() (plugins.State, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.crashed() {
		return plugins.StateOK, ""
	}
	return plugins.StateCrashed, fmt.Sprintf("its program ended badly %d times in a row, last: %s: see the log, mend it, then bbmd plugins reload", p.crashes, p.reason)
}

func (p *Plugin) crashed() bool { return p.badStarts >= mostBadStarts || p.crashes >= mostCrashes }

// Close lets no task begin any more and ends the programs that have none; the
// others end with their task. It does not wait.
func (p *Plugin) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	close(p.closing)
	for _, c := range p.idle {
		p.all.Go(c.stop)
	}
	p.idle = nil
	return nil
}

func (p *Plugin) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

func (p *Plugin) replaced() error {
	return fmt.Errorf("plugin %s: %w", p.manifest.Name, plugins.ErrReplaced)
}

// acquire returns a program without a task. It is to be released.
func (p *Plugin) acquire(ctx context.Context) (*child, error) {
	select {
	case p.slots <- struct{}{}:
	case <-p.closing:
		return nil, p.replaced()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if !p.enter() {
		<-p.slots
		return nil, p.replaced()
	}
	c, err := p.take(ctx)
	if err != nil {
		p.leave()
	}
	return c, err
}

// acquireIdle returns a program that waits for a task, to be released, or nil where that would take waiting.
func (p *Plugin) acquireIdle() *child {
	select {
	case p.slots <- struct{}{}:
	default:
		return nil
	}
	if !p.enter() {
		<-p.slots
		return nil
	}
	c, _ := p.waiting()
	if c == nil {
		p.leave()
	}
	return c
}

// enter counts a task among what Source.Run waits for, unless the plugin is closed.
func (p *Plugin) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.all.Add(1)
	}
	return !p.closed
}

func (p *Plugin) leave() {
	<-p.slots
	p.all.Done()
}

func (p *Plugin) take(ctx context.Context) (*child, error) {
	c, wait := p.waiting()
	if c != nil {
		return c, nil
	}
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-p.closing:
			return nil, p.replaced()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return p.start(ctx)
}

// waiting returns a program that waits for a task, or how long to wait before
// one is started.
func (p *Plugin) waiting() (*child, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		c := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if c.alive() {
			return c, 0
		}
		p.log.Warn("a program of the plugin ended without a task", "error", fmt.Sprint(c.err))
		c.kill() // it is dead; what is left of it is closed
	}
	return nil, time.Until(p.notBefore)
}

// start starts a program and waits for its hello.
func (p *Plugin) start(ctx context.Context) (*child, error) {
	cmd, program, err := p.location.command(&p.manifest)
	if program != nil {
		defer func() { _ = program.Close() }() // the program has its own
	}
	if err != nil {
		return nil, p.badStart(err)
	}
	p.options.Count(p.manifest.Name, EventStart)
	c, err := spawn(ctx, cmd, p.options, &lineLog{log: p.log}, p.all)
	if err != nil {
		return nil, p.badStart(err)
	}
	limited, cancel := context.WithTimeout(ctx, p.options.StartTimeout)
	defer cancel()
	if err := c.greet(limited, &p.manifest); err != nil {
		c.kill()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if limited.Err() != nil {
			err = fmt.Errorf("it did not say hello within %s", p.options.StartTimeout)
		}
		return nil, p.badStart(c.whyBroken(err))
	}
	p.log.DebugContext(ctx, "a program of the plugin was started", "pid", c.pid)
	return c, nil
}

// badStart counts, and makes an error of it that is nobody's fault: no batch
// is to fail because a program is missing.
func (p *Plugin) badStart(err error) error {
	p.crash(err, true)
	return passing("%w", &CrashError{Plugin: p.manifest.Name, Err: err})
}

// crash counts a program that ended badly, and puts off the next start.
func (p *Plugin) crash(err error, starting bool) {
	if p.countCrash(err, starting) {
		p.options.Count(p.manifest.Name, EventGivenUp)
	}
	p.options.Count(p.manifest.Name, EventCrash)
}

// countCrash reports whether it was the one too many.
func (p *Plugin) countCrash(err error, starting bool) (givenUp bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.crashed()
	p.crashes++
	if starting {
		p.badStarts++
	}
	p.reason = err.Error()
	var pause time.Duration
	if p.crashes > 1 {
		pause = min(p.options.Backoff<<min(p.crashes-2, 16), p.options.MaxBackoff)
	}
	p.notBefore = time.Now().Add(pause)
	p.log.Warn("a program of the plugin ended badly", "error", p.reason, "times_in_a_row", p.crashes, "retry_in", pause)
	return p.crashed() && !before
}

// release takes a program back after a task that ended with err.
func (p *Plugin) release(c *child, err error) error {
	defer p.leave()
	if broken, ok := errors.AsType[*brokenError](err); ok {
		c.kill()
		why := c.whyBroken(broken)
		p.crash(why, false)
		return &CrashError{Plugin: p.manifest.Name, Err: why}
	}
	p.options.Count(p.manifest.Name, EventTask)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.crashes, p.badStarts, p.notBefore = 0, 0, time.Time{}
	if p.closed {
		p.all.Go(c.stop)
	} else {
		p.idle = append(p.idle, c)
	}
	return err
}
