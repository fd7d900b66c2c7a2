package await

import (
	"math"
	"time"
)

// DefaultRetryGrace is for how long a failure may be somebody's to repeat.
const DefaultRetryGrace = 30 * time.Second

// Grace is the patience with one failure: a Job is about to repeat it, or it is
// the previous release's and a fixed one is on its way.
type Grace struct {
	For time.Duration // zero: [DefaultRetryGrace]; negative: none

	key   string
	since time.Time
}

// Left takes note of what a look has found, and returns how long to wait for somebody who repeats it; over
// says that nobody did. Another failure than the last one is new.
func (g *Grace) Left(blocked *FailedError) (left time.Duration, over bool) {
	if blocked == nil {
		g.key = ""
		return math.MaxInt64, false
	}
	if g.key != blocked.Key {
		g.key, g.since = blocked.Key, time.Now()
	}
	patience := g.For
	if patience == 0 {
		patience = DefaultRetryGrace
	}
	left = patience - time.Since(g.since)
	return left, left <= 0
}
