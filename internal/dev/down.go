package dev

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// downPatience is how long a keeper may take to end: batches, and then the server.
const downPatience = 90 * time.Second

// Down ends the keeper, in order, and with it daemon and server; the data stays. It
// reports whether there was one. It signals nothing but the process that holds
// the lock.
func (e *Environment) Down(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, downPatience, context.DeadlineExceeded)
	defer cancel()
	signalled := 0
	for {
		holder, err := e.home.holder()
		if err != nil {
			return false, err
		}
		if holder == 0 || signalled != 0 && holder != signalled {
			return signalled != 0, nil
		}
		if signalled == 0 {
			if err := syscall.Kill(holder, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
				return false, fmt.Errorf("stop process %d: %w", holder, err)
			}
			signalled = holder
		}
		if err := pause(ctx); err != nil {
			return true, fmt.Errorf("process %d is still ending: %w: nothing is lost if it is killed", holder, err)
		}
	}
}

// ErrNothing says that there is no environment to remove.
var ErrNothing = errors.New("there is nothing to remove")

// Clean ends the keeper and removes the private server with all its data, the logs
// and the state directory. Databases elsewhere are left alone.
func (e *Environment) Clean(ctx context.Context) error {
	if !e.home.ours() {
		return fmt.Errorf("%s: %w", e.home, ErrNothing)
	}
	for {
		if _, err := e.Down(ctx); err != nil {
			return err
		}
		held, err := e.home.acquire()
		if errors.Is(err, errHeld) {
			continue // somebody was faster
		}
		if err != nil {
			return err
		}
		return errors.Join(e.home.remove(), held.release())
	}
}
