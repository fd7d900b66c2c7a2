package main

import (
	"context"
	"time"
)

// clock is what a worker sleeps by.
type clock interface {
	now() time.Time
	sleep(ctx context.Context, d time.Duration) error
	// after has something done when so much time has passed, whatever the worker does then.
	after(d time.Duration, do func())
}

// wall is the time that passes.
type wall struct{}

func (wall) now() time.Time { return time.Now() }

func (wall) after(d time.Duration, do func()) { time.AfterFunc(d, do) }

func (wall) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// skipping adds sleeps to the time instead of sleeping them.
type skipping struct {
	skipped time.Duration
	moment  time.Time
	do      func() // at moment; nil: nothing is due
}

func (s *skipping) now() time.Time { return time.Now().Add(s.skipped) }

func (s *skipping) after(d time.Duration, do func()) { s.moment, s.do = s.now().Add(d), do }

// sleep stops on its way at the moment when something is due.
func (s *skipping) sleep(ctx context.Context, d time.Duration) error {
	if until := max(0, s.moment.Sub(s.now())); s.do != nil && until <= d {
		s.skipped += until
		d -= until
		do := s.do
		s.do = nil
		do()
	}
	s.skipped += d
	return context.Cause(ctx)
}
