package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// signalError is why a command's context ends: a signal.
type signalError struct{ signal syscall.Signal }

func (e *signalError) Error() string { return "signal: " + e.signal.String() }

// Is lets errors.Is take it for what it is: somebody does not want it any more.
func (e *signalError) Is(target error) bool { return target == context.Canceled }

// untilSignal returns a context that ends with the first SIGINT or SIGTERM, of which the second one kills. The
// caller calls stop.
func untilSignal(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case got := <-signals:
			signal.Stop(signals)
			if s, ok := got.(syscall.Signal); ok {
				cancel(&signalError{signal: s})
			}
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
		<-done
	}
}

// signalCode is the exit code for the signal that ended ctx.
func signalCode(ctx context.Context) int {
	if terminated(ctx) {
		return exitTerminated
	}
	return exitInterrupted
}

// terminated reports whether ctx ended with SIGTERM.
func terminated(ctx context.Context) bool {
	by, ok := errors.AsType[*signalError](context.Cause(ctx))
	return ok && by.signal == syscall.SIGTERM
}
