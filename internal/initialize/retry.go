package initialize

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// The pauses between the attempts of a step that does not get its lock: short
// at first, for a lock that is held for a moment, and with jitter, so that
// two who are in each other's way do not stay so.
const (
	retryFirst  = 250 * time.Millisecond
	retryLast   = 15 * time.Second
	retryJitter = 0.5
)

// retry calls attempt until it succeeds, or fails with an error about which
// again says no, or until l.Retry is over or ctx ends. It tells note of every
// failure that is followed by another attempt. The error is the last attempt's.
func (l Limits) retry(ctx context.Context, attempt func() error, again func(error) bool, note func(err error, pause time.Duration)) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval, pauses.RandomizationFactor = retryFirst, retryLast, retryJitter
	pauses.Multiplier = 2
	options := []backoff.RetryOption{backoff.WithBackOff(pauses), backoff.WithNotify(note), backoff.WithMaxElapsedTime(l.Retry)}
	if l.Retry <= 0 {
		options = append(options, backoff.WithMaxTries(1)) // no limit at all is what 0 means to the library
	}
	begun, tries := time.Now(), 0
	var last error
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		tries++
		last = attempt()
		if last != nil && !again(last) {
			return struct{}{}, backoff.Permanent(last)
		}
		return struct{}{}, last
	}, options...)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return interrupted(ctx, last)
	case tries > 1:
		return fmt.Errorf("%w (tried %d times in %s)", last, tries, time.Since(begun).Round(100*time.Millisecond))
	default:
		return last
	}
}

// interrupted is the error of what did not end because ctx did. It is transient,
// whatever the context's cause is.
func interrupted(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if cause == nil {
		return err
	}
	if !errors.Is(cause, ctx.Err()) {
		cause = fmt.Errorf("%w: %w", cause, ctx.Err())
	}
	return fmt.Errorf("interrupted: %w", cause)
}

// contended reports whether err says that others were in the way, and that the
// statement's transaction is undone.
func contended(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	switch pg.Code {
	case codeLockNotAvailable, codeDeadlock, codeSerialization:
		return true
	default:
		return false
	}
}

const (
	codeDeadlock      = "40P01"
	codeSerialization = "40001"
)
