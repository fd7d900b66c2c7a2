package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/fsnotify/fsnotify"
)

// follower watches the directories through which a path leads.
type follower struct {
	notify   *fsnotify.Watcher // nil until the first track
	failures chan error        // its errors; what comes while one waits is dropped
	drained  chan struct{}     // closed after the last of them
	entries  []string          // what decides where the path leads
	dirs     []string          // their directories, watched
}

// track watches the directories through which path leads now, and no others.
// It looks again until nothing has moved in between.
func (f *follower) track(path string) error {
	if err := f.open(); err != nil {
		return err
	}
	for range maxLinks {
		entries := trail(path)
		if err := f.watch(entries); err != nil {
			return err
		}
		if slices.Equal(entries, trail(path)) {
			break
		}
	}
	return nil
}

// open starts the notifications, once.
func (f *follower) open() error {
	if f.notify != nil {
		return nil
	}
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("open file notifications: %w", err)
	}
	f.notify, f.failures, f.drained = notify, make(chan error, 1), make(chan struct{})
	go f.drain()
	return nil
}

// drain takes errors as they come. fsnotify reports some of them while it
// holds the lock that Add needs, so that whoever adds must not be the one who
// receives.
func (f *follower) drain() {
	defer close(f.drained)
	for err := range f.notify.Errors {
		select {
		case f.failures <- err:
		default:
		}
	}
}

// watch adds the directories of entries, and forgets all others. Adding one
// again renews it, where the directory is another one under the same name.
func (f *follower) watch(entries []string) error {
	var dirs []string
	for _, entry := range entries {
		if dir := filepath.Dir(entry); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	for _, dir := range f.dirs {
		if !slices.Contains(dirs, dir) {
			_ = f.notify.Remove(dir) // it is gone already, if that fails
		}
	}
	f.entries, f.dirs = entries, dirs
	for _, dir := range dirs {
		if err := f.notify.Add(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("watch directory %s: %w", dir, err)
		}
	}
	return nil
}

// concerns reports whether an event can change where the path leads, or what
// is there.
func (f *follower) concerns(event fsnotify.Event) bool {
	return slices.Contains(f.entries, event.Name) || slices.Contains(f.dirs, event.Name)
}

func (f *follower) channels() (events <-chan fsnotify.Event, failures <-chan error) {
	if f.notify == nil {
		return nil, nil
	}
	return f.notify.Events, f.failures
}

func (f *follower) close() {
	if f.notify != nil {
		_ = f.notify.Close() // nothing is left to be done about it
		<-f.drained
	}
}
