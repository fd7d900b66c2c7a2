package throttle

import (
	"math"
	"time"
)

// smooth is an exponentially weighted moving average of samples that come at
// any intervals: a sample weighs as much as the time since the one before.
type smooth struct {
	constant time.Duration // after which a step is 63 % through
	value    float64
	last     time.Time
}

func (s *smooth) add(sample float64, at time.Time) {
	weight := 1.0
	if !s.last.IsZero() {
		weight = 1 - math.Exp(-float64(max(0, at.Sub(s.last)))/float64(s.constant))
	}
	s.value += weight * (sample - s.value)
	s.last = at
}
