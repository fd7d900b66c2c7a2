package throttle

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

// Scope is what a verdict is about: one migration.
type Scope struct {
	// Migration is its name. Activities of the same migration share a verdict.
	Migration string
	// Table is the oid of its table; 0 where it is not known yet.
	Table uint32
	// Override is what is different from the database's configuration, as
	// [Config.CheckOverride] describes it. nil: nothing.
	Override json.RawMessage
}

// Activity says that a migration is at work, or would be were it not for the
// verdict. While there is one, its signals are read. Its methods may be called
// from any goroutine.
type Activity struct {
	sampler *Sampler
	scope   *scope
	pids    []int32
}

// Verdict is what all signals say now. It costs an atomic load. Before the
// first reading, some milliseconds after the beginning, it is stop.
func (a *Activity) Verdict() Verdict { return a.scope.current.Load().report.Verdict }

// Report is the verdict, and what each signal has to say.
func (a *Activity) Report() Report { return a.scope.current.Load().report }

// Changed returns a channel that is closed when the action, or the duty by
// half as much again, is not any more what it is now. Take the channel, then
// the verdict, then wait.
func (a *Activity) Changed() <-chan struct{} { return a.scope.current.Load().changed }

// Backends says which sessions work on the migration, so that those who wait
// for them are seen: by pg_backend_pid(), as a pooler makes up the pid that
// the protocol has. They replace those of the last call.
func (a *Activity) Backends(pids ...int32) {
	a.sampler.mu.Lock()
	defer a.sampler.mu.Unlock()
	a.pids = slices.Clone(pids)
}

// Override replaces the scope's override, live. The error says what is wrong
// with it, and the one before stays.
func (a *Activity) Override(override json.RawMessage) error {
	a.sampler.mu.Lock()
	defer a.sampler.mu.Unlock()
	before := a.scope.Override
	a.scope.Override = override
	if err := a.scope.configure(a.sampler.config); err != nil {
		a.scope.Override = before
		return err
	}
	a.sampler.kick()
	return nil
}

// End says that the work is over. With the last activity of all migrations
// reading stops. A second End does nothing.
func (a *Activity) End() { a.sampler.end(a) }

// Rest waits after work of the given length for as long as the duty asks for,
// and while the verdict is stop, and returns the verdict then in force: go or
// slow, which is to work on, or stop, once that has lasted for longer than the
// patience or is known to. It wakes by itself when the verdict changes, and
// returns the context's cause when that ends.
func (a *Activity) Rest(ctx context.Context, worked, patience time.Duration) (Verdict, error) {
	began := time.Now()
	var stopped time.Time
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		p := a.scope.current.Load()
		verdict := p.report.Verdict
		var wait time.Duration
		if verdict.Action == Stop {
			if stopped.IsZero() {
				stopped = now
			}
			wait = patience - now.Sub(stopped)
			if verdict.Until.Sub(now) > wait {
				wait = 0
			}
		} else {
			stopped = time.Time{}
			wait = verdict.Rest(worked) - now.Sub(began)
		}
		if wait <= 0 {
			return verdict, nil
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return verdict, context.Cause(ctx)
		case <-p.changed:
		case <-timer.C:
		}
	}
}
