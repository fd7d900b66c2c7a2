package plugins

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bbmd-dev/bbmd/registry"
)

// Options are what a [Catalog] is made of.
type Options struct {
	// Compiled holds the Works that are compiled in. Required.
	Compiled *registry.Registry

	// Dir is the directory of the plugins. Empty: there are none.
	Dir string

	// Sources make Works of what is in the directory.
	Sources []Source

	// LockFile is the path of the lock file. Empty: nothing is vouched for.
	LockFile string

	// Policies says what plugins of a kind need to be used. Kinds that are not in
	// it have the [DefaultPolicy].
	Policies map[Kind]Policy

	// Logger gets one line for every change of a plugin's state. Required.
	Logger *slog.Logger

	// Settle is how long the directory has to stay as it is after a change before
	// it is read: editors write files in parts. Defaults to 100ms.
	Settle time.Duration

	// Interval is how often the directory is read although nothing was noticed,
	// as where notifications do not arrive. Defaults to a minute.
	Interval time.Duration

	// OnChange is called after the Works changed, by the goroutine that loaded
	// them. Nil: nobody is told.
	OnChange func(context.Context)
}

// Catalog puts the Works that are compiled in and those of plugins together. It
// is safe for concurrent use; what it returns is of one [Snapshot] each. Close
// ends what its plugins run.
type Catalog struct {
	options Options
	current atomic.Pointer[Snapshot]
	read    atomic.Bool // a Reload has succeeded

	loading sync.Mutex // Reload and Close, one at a time
	closed  bool
}

// New returns a Catalog that holds the compiled Works only; [Catalog.Reload]
// loads the plugins.
func New(options Options) *Catalog {
	if options.Settle <= 0 {
		options.Settle = 100 * time.Millisecond
	}
	if options.Interval <= 0 {
		options.Interval = time.Minute
	}
	c := &Catalog{options: options}
	c.current.Store(&Snapshot{compiled: compiledWorks(options.Compiled)})
	return c
}

func compiledWorks(r *registry.Registry) map[string]registry.Work {
	works := make(map[string]registry.Work)
	for _, work := range r.Works() {
		works[work.Name] = work
	}
	return works
}

// Snapshot returns what the Catalog holds now. [Snapshot.Plugins] and
// [Snapshot.Counts] of it say how the plugins are doing; what a reload changes,
// [Options].OnChange tells, and a program that crashes shows without one.
func (c *Catalog) Snapshot() *Snapshot { return c.current.Load() }

// Ready reports whether the plugins were loaded: true from the first
// [Catalog.Reload] on that succeeded.
func (c *Catalog) Ready() bool { return c.read.Load() }

// Lookup is that of the present snapshot.
func (c *Catalog) Lookup(name string) (registry.Work, error) { return c.Snapshot().Lookup(name) }

// Works is that of the present snapshot.
func (c *Catalog) Works() []registry.Work { return c.Snapshot().Works() }

var errClosed = errors.New("catalog of plugins is closed")

// Reload reads the directory and the lock file, opens what is new or has another
// content, and closes what is gone. What did not change stays open, programs
// that crashed excepted. Plugins that are broken do not make it fail. Where it
// does, since the directory or the lock file cannot be read, all stays as it was.
func (c *Catalog) Reload(ctx context.Context) error { return c.load(ctx, true) }

// load is Reload. Without revive, programs that crashed stay so until their
// content changes.
func (c *Catalog) load(ctx context.Context, revive bool) error {
	c.loading.Lock()
	defer c.loading.Unlock()
	if c.closed {
		return errClosed
	}
	old := c.Snapshot()
	l := loader{options: &c.options, old: old, revive: revive, ctx: ctx}
	next, err := l.load()
	if err != nil {
		return fmt.Errorf("load plugins, those that were loaded stay: %w", err)
	}
	c.current.Store(next)
	c.read.Store(true)
	err = closeReplaced(old, next)
	if c.options.OnChange != nil && changed(old, next) {
		c.options.OnChange(ctx)
	}
	report(ctx, c.options.Logger, old, next)
	return err
}

// Close closes all plugins. The Catalog keeps the compiled Works.
func (c *Catalog) Close() error {
	c.loading.Lock()
	defer c.loading.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	old := c.Snapshot()
	next := &Snapshot{compiled: old.compiled}
	c.current.Store(next)
	return closeReplaced(old, next)
}

// closeReplaced closes what was open before and is not now.
func closeReplaced(old, next *Snapshot) error {
	kept := make(map[Opened]bool)
	for _, e := range next.entries {
		if e.opened != nil {
			kept[e.opened] = true
		}
	}
	var problems []error
	for _, e := range old.entries {
		if e.opened == nil || kept[e.opened] {
			continue
		}
		if err := e.opened.Close(); err != nil {
			problems = append(problems, fmt.Errorf("close plugin %s: %w", e.plugin.Origin.Path, err))
		}
	}
	return errors.Join(problems...)
}
