package dev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// lookInterval is how often a process is looked at that is no child of ours: the
// kernel tells nobody else of its end.
const lookInterval = 25 * time.Millisecond

// largestLog is where a log is put aside, at the next start.
const largestLog = 8 << 20

// Up makes the environment be up as the configuration wants it, in the background, and
// returns its state. It reports whether it was so before: then nothing
// was started. One that is up with another configuration or program is
// stopped and started. When ctx ends first, what Up has begun is stopped again.
func (e *Environment) Up(ctx context.Context) (state State, before bool, err error) {
	at, err := e.address()
	if err != nil {
		return State{}, false, err
	}
	c, err := e.configure(at, usual())
	if err != nil {
		return State{}, false, err
	}
	if err := e.home.make(); err != nil {
		return State{}, false, err
	}
	for {
		state, up, err := e.settled(ctx)
		switch {
		case err != nil:
			return state, false, err
		case up && state.Fingerprint == c.fingerprint:
			if err := e.catchUp(ctx); err != nil {
				return state, true, err
			}
			state, _, err = e.Look()
			return state, true, err
		case up:
			e.options.Step("the configuration or the program has changed: starting anew")
			if _, err := e.Down(ctx); err != nil {
				return state, false, err
			}
		}
		state, err = e.start(ctx)
		if !errors.Is(err, errHeld) {
			return state, false, err
		} // somebody else was faster
	}
}

// settled waits until a keeper is up or gone, and reports whether it is up.
func (e *Environment) settled(ctx context.Context) (State, bool, error) {
	var told string
	for {
		state, up, err := e.Look()
		if err != nil || !up || state.Phase == Running {
			return state, up, err
		}
		if step := state.Step; step != told && step != "" {
			e.options.Step(step)
			told = step
		}
		if err := pause(ctx); err != nil {
			return state, false, err
		}
	}
}

// catchUp waits until server and daemon answer, should they just be recovering, and makes the
// databases that are new.
func (e *Environment) catchUp(ctx context.Context) error {
	state, c, err := e.current()
	if err != nil {
		return err
	}
	patience, cancel := context.WithTimeout(ctx, leftoverPatience)
	defer cancel()
	err = persist(patience, func() (again bool, err error) {
		err = c.create(patience)
		_, up, lookErr := e.Look()
		return up && lookErr == nil, err
	})
	if err != nil {
		return err
	}
	awaitReady(ctx, state)
	return nil
}

// awaitReady waits until the daemon is ready, but not for long, and not where a schema did not
// come up: it never is then.
func awaitReady(ctx context.Context, s State) {
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	for s.Listen != "" && !s.Incomplete && Ready(ctx, s.Listen) != nil && pause(ctx) == nil {
	}
}

// Enter returns the environment variables with which every command of bbmd is about the
// databases as they are up (see [Environment.Environ]), after it has made those that are
// new. It refuses databases that are marked as production.
func (e *Environment) Enter(ctx context.Context) ([]string, error) {
	_, c, err := e.current()
	if err != nil {
		return nil, err
	}
	if err := c.create(ctx); err != nil {
		return nil, err
	}
	return c.sources.Environ, c.refuseProduction(ctx)
}

// start starts a keeper and waits until it is up. It returns errHeld where another one was faster.
func (e *Environment) start(ctx context.Context) (State, error) {
	child, err := e.spawn()
	if err != nil {
		return State{}, err
	}
	var told string
	for {
		ended, err := reaped(child)
		if err != nil {
			return State{}, err
		}
		if ended {
			return e.endedEarly(child)
		}
		state := e.home.readState()
		if state.PID == child && state.Phase == Running {
			return state, nil
		}
		if state.PID == child && state.Step != told && state.Phase == Starting {
			told = state.Step
			e.options.Step(told)
		}
		if err := pause(ctx); err != nil {
			return state, errors.Join(err, e.undo(ctx, child))
		}
	}
}

// spawn starts a keeper, in a session of its own, so that it outlives the terminal.
func (e *Environment) spawn() (pid int, err error) {
	if info, err := os.Stat(e.LogPath()); err == nil && info.Size() > largestLog {
		_ = os.Rename(e.LogPath(), e.home.path(oldLogFile)) // or it grows on
	}
	log, err := os.OpenFile(e.LogPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, fmt.Errorf("open the log: %w", err)
	}
	defer log.Close()                                              //nolint:errcheck // the keeper has it open itself
	cmd := exec.Command(e.options.Program, e.options.Arguments...) //nolint:gosec,noctx // it is this program, and it outlives this process
	cmd.Env = e.options.Sources.Environ
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start the keeper: %w", err)
	}
	return cmd.Process.Pid, nil
}

// reaped reports whether a child has ended.
func reaped(child int) (bool, error) {
	for {
		pid, err := syscall.Wait4(child, nil, syscall.WNOHANG, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return false, fmt.Errorf("wait for the keeper: %w", err)
		default:
			return pid == child, nil
		}
	}
}

// endedEarly says why a keeper has ended before it was up.
func (e *Environment) endedEarly(child int) (State, error) {
	state, up, err := e.Look()
	switch {
	case err != nil:
		return state, err
	case up:
		return state, errHeld
	case state.PID == child && state.Phase == Failed:
		return state, &FailedError{Text: state.Error, Code: state.Code}
	default:
		return state, fmt.Errorf("the keeper has ended while it started: `bbmd dev logs` shows what it said last, in %s", e.LogPath())
	}
}

// undo ends a keeper that Up has started.
func (e *Environment) undo(ctx context.Context, child int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	if err := syscall.Kill(child, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop the keeper: %w", err)
	}
	for {
		ended, err := reaped(child)
		if ended || err != nil {
			return err
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("stop the keeper, process %d: %w", child, err)
		}
	}
}

// pause waits for a moment, or returns the cause of ctx.
func pause(ctx context.Context) error {
	timer := time.NewTimer(lookInterval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
