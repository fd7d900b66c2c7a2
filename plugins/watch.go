package plugins

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
// plugins from being loaded is logged, once.
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
	told    string // the last error that was logged
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
			if event.Op != fsnotify.Chmod || w.concerns(event.Name) {
				settle.Reset(w.catalog.options.Settle)
			}
		}
	}
}

// concerns reports whether an event that changed no content matters: modes of
// plugins do, those of their directory's neighbours do not.
func (w *watch) concerns(path string) bool {
	within, err := filepath.Rel(w.catalog.options.Dir, path)
	return err == nil && filepath.IsLocal(within) || path == w.catalog.options.LockFile
}

// renew watches the directories that matter now. One that is gone was forgotten
// by the system.
func (w *watch) renew() {
	if w.notify == nil {
		return
	}
	wanted := w.directories()
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
	for _, path := range []string{w.catalog.options.Dir, w.catalog.options.LockFile} {
		if path != "" {
			leading(path, all)
		}
	}
	real, err := filepath.EvalSymlinks(w.catalog.options.Dir)
	if err != nil {
		return all
	}
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

// leading adds the directories in which a path's last links and itself are, or
// the nearest that exists.
func leading(path string, into map[string]bool) {
	for range 40 { // links in a row, as in the kernel
		parent := filepath.Dir(path)
		for parent != filepath.Dir(parent) {
			if _, err := os.Stat(parent); err == nil {
				break
			}
			parent = filepath.Dir(parent)
		}
		into[parent] = true
		target, err := os.Readlink(path)
		if err != nil {
			return
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
}

// reload loads the plugins, and says once why they cannot be loaded.
func (w *watch) reload(ctx context.Context) {
	err := w.catalog.Reload(ctx)
	if err == nil || ctx.Err() != nil || errors.Is(err, errClosed) {
		w.told = ""
		return
	}
	if message := fmt.Sprint(err); message != w.told {
		w.told = message
		w.catalog.options.Logger.ErrorContext(ctx, "plugins not loaded", "error", err)
	}
}
