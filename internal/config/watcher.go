package config

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/fsnotify/fsnotify"
)

// defaultSettle is how long a changed file has to stay as it is before it is
// loaded. An editor truncates, then writes: half a file is valid YAML.
const defaultSettle = 50 * time.Millisecond

// WatcherOptions are what a [Watcher] reports to, and how patient it is.
type WatcherOptions struct {
	// OnChange receives a new, valid configuration: after the file changed,
	// if a value differs or the last look failed; after [Watcher.Reload]
	// always. Nil ignores it.
	OnChange func(context.Context, Config)
	// OnError receives why a new configuration was not taken; the old one
	// stays in force. Nil ignores it.
	OnError func(context.Context, error)
	// Settle is how long a changed file has to stay as it is before it is
	// loaded. Defaults to 50ms.
	Settle time.Duration
}

// Watcher loads the configuration again when its file changes, or when it is
// told to. It follows the file through everything that replaces it: writes,
// renames, symlink swaps (Kubernetes' ConfigMaps), removal and return, of the
// file or of a directory above it. Whether it changed is decided by its
// content.
//
// The callbacks are called from [Watcher.Run], one at a time.
type Watcher struct {
	sources Sources
	options WatcherOptions
	reload  chan struct{}

	// The rest belongs to Run.
	current Config
	path    string // the file; empty where there is none
	failed  bool   // the last look failed
	blind   bool   // the file cannot be watched
	handled sum    // the content that current, or the last failure, came from
	pending sum    // the content that has to stay for the settle time
	settle  *time.Timer
	follow  follower
}

// NewWatcher returns a Watcher that compares with current, which [Load] has
// returned for sources.
func NewWatcher(current Config, sources Sources, options WatcherOptions) *Watcher {
	if options.Settle <= 0 {
		options.Settle = defaultSettle
	}
	if options.OnChange == nil {
		options.OnChange = func(context.Context, Config) {}
	}
	if options.OnError == nil {
		options.OnError = func(context.Context, error) {}
	}
	w := &Watcher{sources: sources, options: options, reload: make(chan struct{}, 1), settle: time.NewTimer(options.Settle)}
	w.settle.Stop()
	w.take(current)
	return w
}

// Reload asks Run to load the configuration now, as on SIGHUP, changed or not.
// It does not wait, may be called from anywhere, and calls that come before
// Run gets to it count once.
func (w *Watcher) Reload() {
	select {
	case w.reload <- struct{}{}:
	default:
	}
}

// Run watches until ctx ends, and returns its cause. A file that cannot be
// watched is reported to OnError, and [Watcher.Reload] works all the same. Run
// is called once.
func (w *Watcher) Run(ctx context.Context) error {
	defer w.settle.Stop()
	defer w.follow.close()
	w.look(ctx)
	for {
		events, failures := w.follow.channels()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.reload:
			w.load(ctx, true)
		case event := <-events:
			if w.follow.concerns(event) {
				w.look(ctx)
			}
		case err := <-failures:
			w.missed(ctx, err)
		case <-w.settle.C:
			w.settled(ctx)
		}
	}
}

// look follows the file to where it is now, and starts the settle time if its
// content is new.
func (w *Watcher) look(ctx context.Context) {
	if w.path == "" {
		return
	}
	w.track(ctx)
	if now := w.read(); now != w.handled {
		w.pending = now
		w.settle.Reset(w.options.Settle)
	} else {
		w.settle.Stop()
	}
}

// track watches what leads to the file. That it cannot be watched is reported
// once.
func (w *Watcher) track(ctx context.Context) {
	if w.path == "" {
		return
	}
	err := w.follow.track(w.path)
	if err != nil && !w.blind {
		w.options.OnError(ctx, fmt.Errorf("watch configuration (until this works, a change needs a reload by SIGHUP): %w", err))
	}
	w.blind = err != nil
}

// missed looks after notifications were lost.
func (w *Watcher) missed(ctx context.Context, err error) {
	if !errors.Is(err, fsnotify.ErrEventOverflow) {
		w.options.OnError(ctx, fmt.Errorf("watch %s: %w", w.path, err))
	}
	w.look(ctx)
}

// settled loads the file if it has not changed since it was looked at.
func (w *Watcher) settled(ctx context.Context) {
	if w.path == "" {
		return
	}
	switch now := w.read(); now {
	case w.handled:
	case w.pending:
		w.load(ctx, false)
	default:
		w.pending = now
		w.settle.Reset(w.options.Settle)
	}
}

// load reads the configuration and hands it on.
func (w *Watcher) load(ctx context.Context, asked bool) {
	sources := w.sources
	if w.path != "" {
		// The file that is gone for a moment is still the one that counts.
		sources.File = w.path
		w.handled = w.read()
	}
	next, err := Load(sources)
	if err != nil {
		w.failed = true
		w.options.OnError(ctx, fmt.Errorf("reload configuration, the old one stays in force: %w", err))
		return
	}
	differs := asked || w.failed || !next.Equal(w.current)
	w.take(next)
	w.track(ctx)
	if differs {
		w.options.OnChange(ctx, next)
	}
}

// take makes cfg the one to compare with.
func (w *Watcher) take(cfg Config) {
	w.current, w.failed = cfg, false
	w.path = cfg.File()
	if cfg.loaded != nil {
		w.handled = cfg.loaded.sum
	}
}

// read returns the sum of the file's content, zero if it cannot be read.
func (w *Watcher) read() sum {
	content, err := readContent(w.path)
	if err != nil {
		return sum{}
	}
	return sha256.Sum256(content)
}
