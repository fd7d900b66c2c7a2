package await

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/notify"
)

// What waits and looks are bounded by.
const (
	DefaultProgress = 10 * time.Second
	firstPause      = 100 * time.Millisecond // between two attempts to connect
	longestPause    = 2 * time.Second
	lookTimeout     = 20 * time.Second
	connectTimeout  = 15 * time.Second
)

// Waiter waits for one database. Make it with its exported fields set; Target and Connect are required.
type Waiter struct {
	Target Target
	// Connect opens the session that listens and looks: directly, or through a pooler in session mode.
	Connect func(ctx context.Context) (*pgx.Conn, error)
	// Progress is how often it looks, and says what it found, when no event calls it. Zero: 10s.
	Progress time.Duration
	// RetryGrace is for how long a failure may be somebody's to repeat before waiting ends. Negative: not
	// at all. Zero: 30s.
	RetryGrace time.Duration
	// Say gets a line whenever what is waited for has changed, and for each Progress. Nil: nobody does.
	Say func(says string)

	says  string
	lost  bool
	grace Grace
}

// Run waits until the goals are reached, and returns nil then. It returns a [*FailedError] on what waiting does not
// mend, a [*initialize.ConfigError] where the files cannot be read, and the
// cause of ctx once that has ended.
func (w *Waiter) Run(ctx context.Context) error {
	if w.Progress <= 0 {
		w.Progress = DefaultProgress
	}
	w.grace.For = w.RetryGrace
	if err := w.Target.Validate(); err != nil {
		return &initialize.ConfigError{Database: w.Target.Spec.Database, Err: err}
	}
	wait := firstPause
	for {
		looked, err := w.session(ctx)
		if err == nil || final(err) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if looked {
			wait = firstPause
		}
		w.lost = true
		w.tell("no connection: "+oneLine(err.Error()), false)
		if !pause(ctx, wait/2+rand.N(wait/2)) { //nolint:gosec // so that many do not come at once
			return context.Cause(ctx)
		}
		wait = min(2*wait, longestPause)
	}
}

// Ended is what Run returned, with what it was waiting for in the end where its time was up.
func (w *Waiter) Ended(err, timeout error, after time.Duration) error {
	if !errors.Is(err, timeout) {
		return err
	}
	return &TimeoutError{Database: w.Target.Spec.Database, After: after, Goals: w.Target.Goals, Says: cmp.Or(w.says, "there was no time to look"), Lost: w.lost}
}

// final reports whether another connection would not help.
func final(err error) bool {
	if _, failed := errors.AsType[*FailedError](err); failed {
		return true
	}
	_, wrong := errors.AsType[*initialize.ConfigError](err)
	return wrong
}

// session listens and looks until the goals are reached, on one connection. looked says whether
// it came that far.
func (w *Waiter) session(ctx context.Context) (looked bool, err error) {
	conn, err := w.open(ctx)
	if err != nil && ctx.Err() != nil && w.says == "" {
		w.says, w.lost = "no connection: the server has not answered", true
	}
	if err != nil {
		return false, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx) // the session ends either way
	}()
	for {
		verdict, err := w.look(ctx, conn)
		if err != nil || verdict.Reached {
			return looked, err
		}
		looked, w.lost = true, false
		w.tell(verdict.Says, true)
		left, over := w.grace.Left(verdict.Blocked)
		if over {
			return looked, verdict.Blocked
		}
		if err := heard(ctx, conn, min(w.Progress, left)); err != nil {
			return looked, err
		}
	}
}

// open connects and listens: before the first look, so that nothing is missed.
func (w *Waiter) open(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := w.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "LISTEN "+notify.ChannelStatus); err != nil {
		_ = conn.Close(ctx) // what broke it is the error that counts
		return nil, fmt.Errorf("listen: %w", err)
	}
	return conn, nil
}

func (w *Waiter) look(ctx context.Context, conn *pgx.Conn) (Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return w.Target.Look(ctx, conn)
}

// tell says something, again where it is repeated.
func (w *Waiter) tell(says string, repeat bool) {
	if w.Say != nil && (repeat || says != w.says) {
		w.Say(says)
	}
	w.says = says
}

// heard waits for an event, for at most so long. Events that came meanwhile count as one.
func heard(ctx context.Context, conn *pgx.Conn, atMost time.Duration) error {
	waiting, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	for {
		_, err := conn.WaitForNotification(waiting)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			cancel() // what is there already is taken; nothing is waited for
		case waiting.Err() != nil && !conn.IsClosed():
			return nil
		default:
			return fmt.Errorf("listen: %w", err)
		}
	}
}

// pause waits, and reports false where ctx ended first.
func pause(ctx context.Context, long time.Duration) bool {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
