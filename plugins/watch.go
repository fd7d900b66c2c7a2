package plugins

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// maxWatched bounds the directories that are watched; what changes in others is
// noticed at the next look that the interval brings.
const maxWatched = 500

// Run loads the plugins, and loads them again whenever the directory or the
// lock file changes, until ctx ends, and returns its cause. It follows the
// directory through everything that replaces its content: writes, renames, links
// that are swapped (Kubernetes' ConfigMaps), removal and return. What keeps the
// plugins from being loaded is logged, once. Programs that crashed stay so until
// their content changes, or Reload is called.
func (c *Catalog) Run(ctx context.Context) error {
	if c.options.Dir == "" {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	w := watch{catalog: c}
	defer w.close()
	settle := time.NewTimer(c.options.Settle)
	defer settle.Stop()
	tick := time.NewTicker(c.options.Interval)
	defer tick.Stop()
	w.open(ctx)
	for {
		w.renew() // before reading: what changes afterwards is an event
		w.reload(ctx)
		if err := w.wait(ctx, settle, tick); err != nil {
			return err
		}
	}
}

// watch is what one Run knows.
type watch struct {
	catalog *Catalog
	notify  *fsnotify.Watcher // nil where there are no notifications
	lost    chan struct{}     // notifications were lost
	drained chan struct{}
	real    string          // the plugin directory without links
	leads   map[string]bool // paths that decide where it and the lock file are
	told    string          // the last error that was logged
}

// open starts the notifications. Without them the interval has to do.
func (w *watch) open(ctx context.Context) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		w.catalog.options.Logger.WarnContext(ctx, "changes of plugins are noticed late, since there are no file notifications",
			"error", err, "interval", w.catalog.options.Interval)
		return
	}
	w.notify, w.lost, w.drained = notify, make(chan struct{}, 1), make(chan struct{})
	go func() { // fsnotify reports some errors while it holds the lock that Add needs
		defer close(w.drained)
		for range notify.Errors {
			select {
			case w.lost <- struct{}{}:
			default:
			}
		}
	}()
}

func (w *watch) close() {
	if w.notify != nil {
		_ = w.notify.Close() // nothing is left to be done about it
		<-w.drained
	}
}

// wait returns nil when it is time to look, or ctx's cause.
func (w *watch) wait(ctx context.Context, settle *time.Timer, tick *time.Ticker) error {
	settle.Stop()
	var events chan fsnotify.Event
	if w.notify != nil {
		events = w.notify.Events
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
			return nil
		case <-settle.C:
			return nil
		case <-w.lost:
			settle.Reset(w.catalog.options.Settle)
		case event := <-events:
			if w.concerns(event.Name) {
				settle.Reset(w.catalog.options.Settle)
			}
		}
	}
}

// concerns reports whether an event is about the plugins, and not about what
// lies beside them.
func (w *watch) concerns(path string) bool {
	if w.leads[path] {
		return true
	}
	within, err := filepath.Rel(w.real, path)
	return err == nil && filepath.IsLocal(within)
}

// mostRenewals bounds how often renew looks again; the next event, or the interval, brings another one.
const mostRenewals = 20

// renew watches the directories that matter now. It looks again until nothing has moved in
// between: what appears after it was looked for and before its directory is watched is no event.
func (w *watch) renew() {
	if w.notify == nil {
		return
	}
	for wanted, n := w.directories(), 0; n < mostRenewals; n++ {
		w.follow(wanted)
		now := w.directories()
		if maps.Equal(now, wanted) {
			return
		}
		wanted = now
	}
}

// follow watches these directories, and no others. One that is gone was forgotten
// by the system; adding one again renews it, where it is another one under the same name.
func (w *watch) follow(wanted map[string]bool) {
	for _, path := range w.notify.WatchList() {
		if !wanted[path] {
			_ = w.notify.Remove(path) // it is gone already, if that fails
		}
	}
	for path := range wanted {
		_ = w.notify.Add(path) // the interval has to do
	}
}

// directories returns the plugin directory with all below, and what leads to it
// and to the lock file.
func (w *watch) directories() map[string]bool {
	all := make(map[string]bool)
	w.leads = make(map[string]bool)
	for _, path := range []string{w.catalog.options.Dir, w.catalog.options.LockFile} {
		if path != "" {
			w.lead(path, all)
		}
	}
	real, err := filepath.EvalSymlinks(w.catalog.options.Dir)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return all
	}
	w.real = real
	_ = filepath.WalkDir(real, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil || !entry.IsDir():
			return nil //nolint:nilerr // what cannot be read cannot be watched
		case path != real && strings.HasPrefix(entry.Name(), "."), len(all) >= maxWatched:
			return fs.SkipDir
		}
		all[path] = true
		return nil
	})
	return all
}

// lead notes the entries that decide where a path leads: itself and what its
// links name, or the first on the way that is missing, and the directories
// that they are in, which may move as a whole. It adds these directories.
func (w *watch) lead(path string, into map[string]bool) {
	path, err := filepath.Abs(path)
	for range 40 { // links in a row, as in the kernel
		if err != nil {
			return
		}
		at, parent := path, filepath.Dir(path)
		for parent != filepath.Dir(parent) {
			if _, err := os.Stat(parent); err == nil {
				break
			}
			at, parent = parent, filepath.Dir(parent)
		}
		w.leads[at], w.leads[parent], into[parent] = true, true, true
		var target string
		target, err = os.Readlink(path)
		if err == nil && !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
}

// reload loads the plugins, and says once why they cannot be loaded.
func (w *watch) reload(ctx context.Context) {
	err := w.catalog.load(ctx, false)
	if err == nil || ctx.Err() != nil || errors.Is(err, errClosed) {
		w.told = ""
		return
	}
	if message := fmt.Sprint(err); message != w.told {
		w.told = message
		w.catalog.options.Logger.ErrorContext(ctx, "plugins not loaded", "error", err)
	}
}
