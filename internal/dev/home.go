package dev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// What is in a state directory.
const (
	markerFile   = ".gitignore"
	lockName     = "lock"
	stateFile    = "state.json"
	settingsFile = "settings.json"
	logFile      = "log"
	oldLogFile   = "log.1"
	serverDir    = "postgres"
	// firstStart is there while the data on the private server is not whole yet.
	firstStart = "first-start"
)

// marker tells a state directory from others, and git to leave it alone.
const marker = "# made by bbmd dev: a private PostgreSQL and a daemon's log. Remove it with bbmd dev clean.\n*\n"

// folder is where state directories lie by default.
const folder = ".bbmd"

// home is a state directory.
type home string

func (h home) path(name string) string { return filepath.Join(string(h), name) }

// mode is closed to others; root's server runs as another user, who has to get through.
func mode() os.FileMode {
	if os.Geteuid() == 0 {
		return 0o711
	}
	return 0o700
}

// make makes the directory, and refuses one that somebody else has filled.
func (h home) make() error {
	if h.ours() {
		return nil
	}
	entries, err := os.ReadDir(string(h))
	switch {
	case slices.ContainsFunc(entries, foreign) && !h.ours():
		return fmt.Errorf("%s has files of others in it: choose another directory with --state", h)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("look into the state directory: %w", err)
	}
	if err := os.MkdirAll(string(h), mode()); err != nil {
		return fmt.Errorf("make state directory: %w", err)
	}
	dirs := []string{string(h)}
	if parent := filepath.Dir(string(h)); filepath.Base(parent) == folder {
		dirs = append(dirs, parent)
	}
	for _, dir := range dirs { // whatever the umask is
		if err := os.Chmod(dir, mode()); err != nil {
			return fmt.Errorf("make state directory: %w", err)
		}
	}
	if err := writeFile(h.path(markerFile), []byte(marker)); err != nil {
		return fmt.Errorf("mark the state directory: %w", err)
	}
	return nil
}

// foreign reports whether a file is none that another process leaves that makes the same
// directory right now.
func foreign(entry os.DirEntry) bool {
	return entry.Name() != markerFile && !strings.HasPrefix(entry.Name(), "."+markerFile+".")
}

// ours reports whether the directory is one that make has made.
func (h home) ours() bool {
	content, err := os.ReadFile(h.path(markerFile))
	return err == nil && string(content) == marker
}

// remove removes what is ours, and the directory where nothing else is in it. The
// caller holds the lock.
func (h home) remove() error {
	var problems []error
	for _, name := range []string{stateFile, settingsFile, logFile, oldLogFile, serverDir, firstStart, lockName, markerFile} {
		problems = append(problems, os.RemoveAll(h.path(name)))
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("remove the environment: %w", err)
	}
	if left, err := os.ReadDir(string(h)); err == nil && len(left) > 0 {
		return fmt.Errorf("%s is kept: %s in it is not of bbmd dev", h, left[0].Name())
	}
	if err := os.Remove(string(h)); err != nil {
		return fmt.Errorf("remove state directory: %w", err)
	}
	if parent := filepath.Dir(string(h)); filepath.Base(parent) == folder {
		_ = os.Remove(parent) // unless something else is in it
	}
	return nil
}

// writeFile replaces a file at once, so that nobody ever reads half of it. Only its owner can read it.
func writeFile(path string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// sweep removes what a killed writeFile has left. The caller holds the lock.
func (h home) sweep() {
	for _, name := range []string{stateFile, settingsFile, markerFile} {
		left, _ := filepath.Glob(h.path("." + name + ".*"))
		for _, path := range slices.Compact(left) {
			_ = os.Remove(path)
		}
	}
}
