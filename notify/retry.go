package notify

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// healthyAfter is how long a connection has to last for its end to count as the
// first failure again. A connection that dies sooner each time is slowed down; a
// box that cuts idle sessions now and then is not punished for what it did before.
const healthyAfter = 2 * time.Second

// retry decides how long to wait before the next attempt: not at all after a
// healthy period, then longer and longer, with jitter so that the clients of a
// server that comes back do not all arrive at once.
type retry struct {
	backoff  *backoff.ExponentialBackOff
	failures int
}

func newRetry(shortest, longest time.Duration) *retry {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = shortest
	b.MaxInterval = longest
	b.Multiplier = 2
	b.Reset()
	return &retry{backoff: b}
}

// delay returns the time to wait after a connection that listened for lived, 0 if
// it never did.
func (r *retry) delay(lived time.Duration) time.Duration {
	if lived >= healthyAfter {
		r.failures = 0
		r.backoff.Reset()
	}
	r.failures++
	if r.failures == 1 {
		return 0
	}
	return r.backoff.NextBackOff()
}

// pause waits for d or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
