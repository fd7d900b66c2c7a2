package dev

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// lock is the keeper's. It is one of POSIX's, which the kernel gives back with the
// process however that ends, and of which the kernel says who holds it. A
// process loses it when it closes any descriptor of the file: the keeper opens it once.
type lock struct {
	file *os.File
}

// errHeld says that another process has the lock.
var errHeld = errors.New("another process has the lock")

// acquire takes the lock, or fails with errHeld.
func (h home) acquire() (*lock, error) {
	for {
		file, err := os.OpenFile(h.path(lockName), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, fmt.Errorf("open the lock: %w", err)
		}
		err = syscall.FcntlFlock(file.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart})
		if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) {
			return nil, errors.Join(errHeld, file.Close())
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("take the lock: %w", err), file.Close())
		}
		if h.isLock(file) {
			return &lock{file: file}, nil
		}
		if err := file.Close(); err != nil { // it was removed in the moment between
			return nil, fmt.Errorf("close the lock: %w", err)
		}
	}
}

// isLock reports whether an open file still is the one that others would open.
func (h home) isLock(file *os.File) bool {
	mine, err := file.Stat()
	if err != nil {
		return false
	}
	theirs, err := os.Stat(h.path(lockName))
	return err == nil && os.SameFile(mine, theirs)
}

func (l *lock) release() error {
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("release the lock: %w", err)
	}
	return nil
}

// holder returns the id of the process that has the lock, as the kernel knows it, or
// 0 where none has. The process that has it must not ask.
func (h home) holder() (int, error) {
	file, err := os.Open(h.path(lockName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look at the lock: %w", err)
	}
	defer file.Close() //nolint:errcheck // only looked at
	held := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	if err := syscall.FcntlFlock(file.Fd(), syscall.F_GETLK, &held); err != nil {
		return 0, fmt.Errorf("look at the lock: %w", err)
	}
	if held.Type == syscall.F_UNLCK {
		return 0, nil
	}
	return int(held.Pid), nil
}
