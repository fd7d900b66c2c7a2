package status

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/notify"
)

// ErrUnreachable is wrapped by a look that failed because the database cannot
// be reached now: the follower tries again.
var ErrUnreachable = errors.New("the database cannot be reached")

// Follower shows migrations until all of them are over.
type Follower struct {
	// Source says when to look.
	Source notify.Source
	// Look returns the migrations that are followed. Its errors end the follower,
	// but for those that wrap [ErrUnreachable].
	Look func(ctx context.Context) ([]control.Progress, error)
	// View shows them. The follower's owner closes it.
	View View
	// Seen is told what was seen, after it was shown, and must not block for
	// long. Nil: nobody asks.
	Seen func(all []control.Progress)
}

const (
	// settleAfter is how long after an event the follower looks once more: why a
	// migration waits is written by whoever the same event has woken.
	settleAfter = time.Second
	// retryAfter is how long it waits for a database that is away.
	retryAfter = 2 * time.Second
)

// Run looks first when the source listens, and then whenever it says so. It
// returns what was seen last, when all of it is over or there is nothing to
// follow; or the cause of the context, or the first error.
func (f *Follower) Run(ctx context.Context) ([]control.Progress, error) {
	listening, cancel := context.WithCancel(ctx)
	flag := notify.NewFlag()
	var source sync.WaitGroup
	source.Go(func() {
		// It ends with its context; why it does not listen is for its logger.
		_ = f.Source.Run(listening, func(notify.Event) { flag.Set() })
	})
	defer source.Wait()
	defer cancel()
	return f.follow(ctx, flag)
}

func (f *Follower) follow(ctx context.Context, flag *notify.Flag) ([]control.Progress, error) {
	timer := time.NewTimer(0)
	timer.Stop()
	defer timer.Stop()
	var speeds meter
	var all []control.Progress
	var settled time.Time // when to look once more after the last event
	lost := false
	for {
		select {
		case <-ctx.Done():
			return all, context.Cause(ctx)
		case <-flag.Wait():
			settled = time.Now().Add(settleAfter)
		case <-timer.C:
		}
		seen, err := f.Look(ctx)
		switch {
		case ctx.Err() != nil:
			return all, context.Cause(ctx)
		case errors.Is(err, ErrUnreachable):
			if !lost {
				_, _ = fmt.Fprintln(f.View, err, "(waiting for it)")
			}
			lost = true
			timer.Reset(retryAfter)
			continue
		case err != nil:
			return all, err
		}
		lost, all = false, seen
		again, err := f.show(&speeds, all)
		if err != nil || over(all) {
			return all, err
		}
		if next := sooner(time.Until(settled), again); next > 0 {
			timer.Reset(next)
		}
	}
}

func (f *Follower) show(speeds *meter, all []control.Progress) (again time.Duration, err error) {
	now := time.Now()
	for i := range all {
		speeds.measure(now, &all[i])
	}
	again, err = f.View.Show(now, all)
	if err == nil && f.Seen != nil {
		f.Seen(all)
	}
	return again, err
}

// sooner returns the shorter of two waits, of which those not above 0 are none.
func sooner(a, b time.Duration) time.Duration {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}

func over(all []control.Progress) bool {
	for i := range all {
		if !all[i].Over() {
			return false
		}
	}
	return true
}
