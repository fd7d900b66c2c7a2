package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// runPrefix begins the name of every temporary directory of this package.
const runPrefix = "bbmd-pg-"

// runDir is the temporary directory of one owner: the server's sockets, what
// else is temporary, and a file "owner" that its owner keeps locked while it
// lives. The lock ends with the owner however that ends, and it cannot be
// mistaken for another process's as a process id can.
type runDir struct {
	path  string
	owner *os.File
	guard *guard
}

// newRunDir makes a directory with a path short enough for a unix socket
// (107 bytes). dataDir is where the data lies, empty for inside of it.
func newRunDir(ctx context.Context, runAs account, dataDir string, durable bool) (*runDir, error) {
	var refused []error
	for _, parent := range tempDirs(durable) {
		r, err := newRunDirIn(ctx, runAs, parent, dataDir)
		if err == nil {
			return r, nil
		}
		refused = append(refused, err)
	}
	return nil, errors.Join(refused...)
}

func newRunDirIn(ctx context.Context, runAs account, parent, dataDir string) (*runDir, error) {
	path, err := os.MkdirTemp(parent, runPrefix)
	if err != nil {
		return nil, fmt.Errorf("make temporary directory: %w", err)
	}
	r := &runDir{path: path}
	if err := r.fill(ctx, runAs, dataDir); err != nil {
		return nil, errors.Join(err, r.remove())
	}
	return r, nil
}

func (r *runDir) fill(ctx context.Context, runAs account, dataDir string) error {
	if limit := 90; len(r.socketDir()) > limit {
		return fmt.Errorf("%s is too long for a unix socket (limit %d): set TMPDIR to a shorter one", r.path, limit)
	}
	if err := os.Chmod(r.path, runAs.dirMode()); err != nil {
		return fmt.Errorf("open temporary directory: %w", err)
	}
	if err := runAs.reach(ctx, r.path); err != nil {
		return err
	}
	if err := r.claim(dataDir); err != nil {
		return err
	}
	if err := os.Mkdir(r.socketDir(), 0o700); err != nil {
		return fmt.Errorf("make socket directory: %w", err)
	}
	if err := runAs.own(r.socketDir()); err != nil {
		return err
	}
	var err error
	r.guard, err = startGuard(r.path)
	return err
}

// claim makes the owner's file under another name, so that nobody ever sees
// it unlocked while its owner lives.
func (r *runDir) claim(dataDir string) error {
	var err error
	if r.owner, err = lockFile(filepath.Join(r.path, "owner.new")); err != nil {
		return err
	}
	if _, err := r.owner.WriteString(dataDir); err != nil {
		return fmt.Errorf("note the data directory: %w", err)
	}
	if err := os.Rename(r.owner.Name(), filepath.Join(r.path, "owner")); err != nil {
		return fmt.Errorf("claim temporary directory: %w", err)
	}
	return nil
}

func (r *runDir) socketDir() string { return filepath.Join(r.path, "s") }

// remove ends the guard, which removes the directory, and makes sure of it. A
// second call does nothing.
func (r *runDir) remove() error {
	var err error
	if r.guard != nil {
		err = r.guard.stop()
		r.guard = nil
	}
	err = errors.Join(err, os.RemoveAll(r.path))
	if r.owner != nil {
		err = errors.Join(err, r.owner.Close())
		r.owner = nil
	}
	return err
}

// dirMode is closed to others, but lets the account through where it is
// another user than the owner of the directory.
func (a account) dirMode() os.FileMode {
	if a.switched {
		return 0o711
	}
	return 0o700
}

// checkOwner refuses a data directory that another user's server has made.
func (a account) checkOwner(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("look at the data: %w", err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != a.uid {
		return fmt.Errorf("%s belongs to user id %d and the server would run as %d: run as the user who made it, or remove the directory", path, stat.Uid, a.uid)
	}
	return nil
}

// lockFile creates a file if need be and locks it for this process, or
// returns syscall.EWOULDBLOCK when another one has it.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
	}
	return file, nil
}
