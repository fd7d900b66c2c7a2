package executor

import "time"

// NewSizer makes a sizer for tests.
func NewSizer(start, least, most int32, target time.Duration) *sizer {
	return newSizer(limits{start, least, most, target}, 0)
}

// Observe feeds a finished batch.
func (s *sizer) Observe(size int32, took time.Duration) { s.observe(size, took) }

// Current returns the size of the next batch.
func (s *sizer) Current() int32 { return s.current() }
