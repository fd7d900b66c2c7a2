package notify

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"
)

// life is what the sources have in common: connections one after the other, for as
// long as the context lasts, what is said about them, and what is known of them.
type life struct {
	logger   *slog.Logger
	secret   string
	retryMin time.Duration
	retryMax time.Duration
	tracker  tracker
	running  atomic.Bool
}

// State returns what the source knows of itself now.
func (l *life) State() State { return l.tracker.snapshot() }

// run calls once, which is the life of one connection and returns how long its
// subscription was in force, again and again until ctx ends.
func (l *life) run(ctx context.Context, once func(context.Context) (lived time.Duration, err error)) error {
	if !l.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer l.running.Store(false)

	l.tracker.started()
	defer l.tracker.disconnected(nil)

	retry := newRetry(l.retryMin, l.retryMax)
	var told string
	for ctx.Err() == nil {
		lived, err := once(ctx)
		if ctx.Err() != nil {
			break
		}
		err = oneLine(err, l.secret)
		l.tracker.disconnected(err)
		delay := retry.delay(lived)
		l.tell(ctx, lived, delay, err, &told)
		pause(ctx, delay)
	}
	return context.Cause(ctx)
}

// deliverKnown hands an event over that arrived by name, or drops it if it is not for us.
func (l *life) deliverKnown(channel, payload string, deliver func(Event)) {
	event, ok := known(channel, payload)
	if !ok {
		l.tracker.ignored.Add(1)
		return
	}
	l.tracker.notified(time.Now())
	deliver(event)
}

// tell logs a failure: the end of a connection and each new reason as a warning,
// the same reason over and over for those who look closely.
func (l *life) tell(ctx context.Context, lived, delay time.Duration, err error, told *string) {
	level := slog.LevelWarn
	switch {
	case lived == 0 && err.Error() == *told:
		level = slog.LevelDebug
	case errors.Is(err, ErrTransactionPooler), errors.Is(err, ErrCannotStream):
		level = slog.LevelError // waiting will not help, as it does with a standby that is promoted
	}
	*told = err.Error()
	l.logger.Log(ctx, level, "not listening for events", "error", err, "lasted", lived, "retry_in", delay)
}
