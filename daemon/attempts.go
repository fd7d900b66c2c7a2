package daemon

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/bbmd-dev/bbmd/notify"
)

// attempts says how long to wait before the next one: not at all at first, then
// longer and longer, with jitter so that the clients of a server that comes
// back do not all arrive at once.
type attempts struct {
	backoff *backoff.ExponentialBackOff
	first   bool
}

func newAttempts(longest time.Duration) *attempts {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = notify.DefaultRetryMin, longest, 2
	b.Reset()
	return &attempts{backoff: b, first: true}
}

func (a *attempts) next() time.Duration {
	if a.first {
		a.first = false
		return 0
	}
	return a.backoff.NextBackOff()
}

// pause waits for d or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
