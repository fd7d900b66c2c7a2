package executor

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/throttle"
)

const (
	// patience is for how long a worker keeps what it has claimed while the
	// throttle says stop. After that others may have it.
	patience = 3 * time.Second
	// longestWorked bounds what a rest is computed from, so that a worker at
	// rest is back before its session counts as idle.
	longestWorked = 2 * time.Second
)

// throttled is why a worker ends whose migration the throttle keeps back. Its
// activity goes on, so that somebody is told when that changes.
type throttled struct {
	verdict  throttle.Verdict
	activity *throttle.Activity
	override string // of the row, that the activity follows
}

func (t *throttled) Error() string {
	return fmt.Sprintf("throttled since %s: %s", t.verdict.Since.UTC().Format("15:04:05Z"), t.verdict.Reason)
}

// beginThrottle announces the worker to the throttle, which begins to read its signals.
func (w *worker) beginThrottle() error {
	if w.settings.Throttle == nil {
		return nil
	}
	w.override = value(w.candidate.Knobs.Throttle)
	activity, err := w.throttle.Begin(throttle.Scope{Migration: w.candidate.Name, Table: w.target.oid, Override: json.RawMessage(w.override)})
	if err != nil {
		return refuse(control.CodeUnknown, "throttle of the migration: %v", err)
	}
	w.activity.Store(activity)
	return nil
}

// endThrottle takes its leave of the throttle, unless the activity goes on without the worker.
func (w *worker) endThrottle() {
	if a := w.activity.Swap(nil); a != nil {
		a.End()
	}
}

// follow takes over the knobs on the migration's row that keep batches back.
func (w *worker) follow(k control.Knobs) {
	w.pause.Store(int64(k.Pause))
	a, override := w.activity.Load(), value(k.Throttle)
	if a == nil || override == w.override {
		return
	}
	w.override = override
	if err := a.Override(json.RawMessage(override)); err != nil {
		w.log.WarnContext(w.soft, "throttle of the migration stays as it was", "error", err)
	}
}

// free reports whether the next batch may start without a rest before it.
func (w *worker) free() bool {
	a := w.activity.Load()
	if a == nil {
		return w.pause.Load() == 0
	}
	verdict := a.Verdict()
	w.press(verdict)
	return w.pause.Load() == 0 && verdict.Action == throttle.Go
}

// pass waits until the next batch may start after one that took as long as
// worked, or until the worker is told to stop. The error is a [throttled] when
// the throttle's stop outlasts the worker's patience.
func (w *worker) pass(worked time.Duration) error {
	if worked > 0 {
		w.rest(time.Duration(w.pause.Load()))
	}
	a := w.activity.Load()
	if a == nil || w.stopping() {
		return nil
	}
	if a.Verdict().Action == throttle.Go {
		return nil
	}
	verdict, err := a.Rest(w.soft, min(worked, longestWorked), patience)
	if err != nil || verdict.Action != throttle.Stop {
		return nil //nolint:nilerr // the only error is that the worker is told to stop, which its loop sees
	}
	return &throttled{verdict: verdict, activity: w.activity.Swap(nil), override: w.override}
}

// press tells the size of batches how far the migration is slowed down.
func (w *worker) press(v throttle.Verdict) {
	if s := w.sizer.Load(); s != nil && v.Action != throttle.Stop { // while nothing runs, what comes after is not known
		s.press(targetAt(v.Duty))
	}
}

// rest waits, or until the worker is told to stop.
func (w *worker) rest(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.soft.Done():
	}
}

// throttling says why batches are kept back, if they are, for the counters.
func (w *worker) throttling() string {
	a := w.activity.Load()
	if a == nil {
		return ""
	}
	v := a.Verdict()
	if v.Action == throttle.Go {
		return ""
	}
	return fmt.Sprintf("%s (%.0f %%): %s", v.Action, v.Duty*100, v.Reason)
}

// verdict is what the throttle says of the worker's migration: go where nobody asks it.
func (w *worker) verdict() throttle.Verdict {
	if a := w.activity.Load(); a != nil {
		return a.Verdict()
	}
	return throttle.Verdict{Duty: 1}
}
