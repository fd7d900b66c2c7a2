package executor

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// The rules of sizing are those of block/spirit's chunk sizer, which met the
// traps: steer by a high percentile, forget the samples of another size, grow gently, and
// cut hard when a batch takes far too long.
const (
	samplesPerStep = 10  // how many batches of one size make a step
	growthPerStep  = 1.5 // at most
	panicFactor    = 5   // one batch this many times over the target
	panicCut       = 10  // divides the size by this
	samplesSlowed  = 4   // the same while throttled, when batches are few
	deadBand       = 0.1 // closer to the target than this is close enough
)

// What others feel is the length of a batch, more than the share of the time that batches take. So
// while the throttle slows a migration down they are short, the shorter the less of the time they
// may take: this much of a twentieth of a second, within bounds.
const (
	slowCycle      = 50 * time.Millisecond
	slowTarget     = 5 * time.Millisecond // at most
	shortestTarget = time.Millisecond     // or the work would be a small part of a batch
	// leastOfStart divides batch_size: no batch is cut shorter for being throttled. On a server with no time
	// to spare every batch takes too long, however short it is, and little would be done for as much rest.
	leastOfStart = 10
)

// targetAt is how long a batch may take at a duty; 0: as long as ever.
func targetAt(duty float64) time.Duration {
	if duty >= 1 {
		return 0
	}
	return min(max(time.Duration(duty*float64(slowCycle)), shortestTarget), slowTarget)
}

// limits are what a migration's row says about sizes.
type limits struct {
	start, least, most int32         // keys
	target             time.Duration // per batch; 0: always start
}

// sizer chooses how many keys a batch has, so that its statement takes the
// target time. It is fed with the time of the statement alone, never with waits of bbmd's own. It
// is safe for concurrent use.
type sizer struct {
	mu      sync.Mutex
	limits  limits
	size    int32
	samples []time.Duration // of batches of the current size
	p90     time.Duration   // of the last full set of samples; 0: none yet
	reason  string          // why the size is what it is
	slowed  time.Duration   // how long a batch may take while the throttle slows the migration down; 0: it does not
}

// newSizer starts at size, or where size is 0 at the migration's batch_size.
func newSizer(l limits, size int32) *sizer {
	s := &sizer{limits: l, size: l.start, reason: "batch_size of the migration"}
	if size > 0 && l.target > 0 {
		s.size, s.reason = l.clamp(float64(size)), "as it was when the last worker stopped"
	}
	return s
}

// current returns the number of keys that the next batch is to have.
func (s *sizer) current() int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// adopt takes over limits that changed on the migration's row. A new batch_size
// starts the steering anew from there.
func (s *sizer) adopt(l limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l == s.limits {
		return
	}
	if l.start != s.limits.start || l.target == 0 {
		s.change(l.start, "batch_size of the migration")
	}
	s.limits = l
	if clamped := l.clamp(float64(s.size)); l.target > 0 && clamped != s.size {
		s.change(clamped, "limits of the migration")
	}
}

// press says how long a batch may take while the throttle slows the migration down; 0: it does
// not. Batches that are far too long for that are cut shorter at once; the next samples do the rest.
func (s *sizer) press(slowed time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slowed == s.slowed {
		return
	}
	s.slowed = slowed
	if target := s.target(); target > 0 && s.p90 > target*3/2 {
		next := s.clamp(float64(s.size) * float64(target) / float64(s.p90))
		if next != s.size {
			s.change(next, fmt.Sprintf("batches of %s while throttled", round(target)))
			s.p90 = target
		}
	}
}

// target is what a batch is to take now.
func (s *sizer) target() time.Duration {
	if s.slowed > 0 {
		return min(s.limits.target, s.slowed)
	}
	return s.limits.target
}

// clamp keeps a size within the limits, and while throttled from becoming a small part of what the
// migration began with, unless its own target asks for that.
func (s *sizer) clamp(size float64) int32 {
	if s.slowed > 0 {
		least := float64(s.limits.start) / leastOfStart
		own := float64(s.size) * min(float64(s.limits.target)/float64(max(s.p90, time.Microsecond)), 1)
		size = max(size, min(least, own))
	}
	return s.limits.clamp(size)
}

// observe learns from a finished batch how long size keys take.
func (s *sizer) observe(size int32, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limits.target == 0 || size != s.size {
		return
	}
	if took > panicFactor*s.limits.target {
		s.change(s.limits.clamp(float64(s.size)/panicCut), fmt.Sprintf("one batch took %s", round(took)))
		return
	}
	s.samples = append(s.samples, took)
	if len(s.samples) < samplesPerStep && (s.slowed == 0 || len(s.samples) < samplesSlowed) {
		return
	}
	s.p90 = percentile90(s.samples)
	s.samples = s.samples[:0]
	ratio := float64(s.target()) / float64(max(s.p90, time.Microsecond))
	if math.Abs(ratio-1) <= deadBand {
		return
	}
	if next := s.clamp(float64(s.size) * min(ratio, growthPerStep)); next != s.size {
		s.change(next, fmt.Sprintf("p90 of %d keys was %s", s.size, round(s.p90)))
	}
}

// held reports whether the throttle slows the migration down.
func (s *sizer) held() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slowed > 0
}

// timedOut cuts the size after a batch that did not finish at all.
func (s *sizer) timedOut(size int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limits.target > 0 && size <= s.size {
		s.change(s.limits.clamp(float64(size)/panicCut), fmt.Sprintf("a batch of %d keys met the statement timeout", size))
	}
}

func (s *sizer) change(size int32, why string) {
	s.size, s.reason, s.samples = size, why, s.samples[:0]
}

// report returns the size, the p90 and the reason, for the counters.
func (s *sizer) report() (size int32, p90 time.Duration, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size, s.p90, s.reason
}

func (l limits) clamp(size float64) int32 {
	least, most := float64(l.least), float64(max(l.most, l.least))
	return int32(min(max(size, least), most))
}

func percentile90(samples []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[(len(sorted)*9+9)/10-1] // nearest rank
}

func round(d time.Duration) time.Duration {
	if d < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}
