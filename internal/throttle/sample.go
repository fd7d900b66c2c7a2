package throttle

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// step reads what is due, judges, and returns when there is more to do; not
// before a kick if there is nothing.
func (s *Sampler) step(ctx context.Context, queries *sync.WaitGroup) (next time.Duration, more bool) {
	now := time.Now()
	s.mu.Lock()
	due, args, measured := s.due(now)
	s.runCustoms(ctx, queries, now)
	s.mu.Unlock()
	if len(due) > 0 {
		outcomes := s.readAll(ctx, due, args)
		if ctx.Err() != nil {
			return 0, false
		}
		s.takeAll(ctx, outcomes, measured, now)
	}
	for _, c := range s.evaluate(time.Now()) {
		c.log(ctx, s.log)
		if c.tell {
			s.onChange(c.migration, c.verdict)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next(time.Now())
}

// due returns the signals to read now for those migrations that the clock
// lets work, and the migrations that will have been measured by that: one that
// was not yet has all of its signals read.
func (s *Sampler) due(now time.Time) (due []*slot, args pgx.NamedArgs, measured []*scope) {
	pids, tables := []int32{}, []uint32{}
	open, first := s.open(now)
	for _, sc := range open {
		for pid := range sc.pids() {
			pids = append(pids, pid)
		}
		if sc.Table != 0 {
			tables = append(tables, sc.Table)
		}
	}
	for _, slot := range s.slots {
		wanted := slices.ContainsFunc(open, func(sc *scope) bool { return sc.wants(slot, now) })
		if wanted && (first || s.wait(slot, now) <= s.slack(now)) {
			due = append(due, slot)
		}
	}
	if first {
		measured = open
	}
	return due, pgx.NamedArgs{"pids": pids, "tables": tables}, measured
}

// open returns the migrations that the clock lets work, and whether one of
// them was not measured yet. What was known of the others is of the past when
// their time comes.
func (s *Sampler) open(now time.Time) (open []*scope, first bool) {
	for _, sc := range s.scopes {
		if shut, _ := sc.shut(now); shut {
			sc.measured = false
			continue
		}
		open = append(open, sc)
		first = first || !sc.measured
	}
	return open, first
}

func (s *scope) wants(slot *slot, now time.Time) bool {
	c := s.config(now)
	return c.Enabled && slot.mode(c) != Off
}

const (
	// costShare is the part of the time, at most, that is spent on reading.
	costShare = 50
	// slowest is how far a slow answer, or none, stretches the interval.
	slowest = time.Second
)

// period is how often the fast signals are read now.
func (s *Sampler) period(now time.Time) time.Duration {
	period := max(time.Duration(s.config.Interval), min(costShare*s.cost, slowest), s.patience(now))
	if s.failing {
		period = max(period, slowest)
	}
	return period
}

// slack lets signals that are due at nearly the same time share a statement. The
// longer the period, the more of it there is, so that they get in step.
func (s *Sampler) slack(now time.Time) time.Duration {
	return s.period(now) - time.Duration(s.config.Interval)*3/4
}

// wait returns for how long a signal need not be read.
func (s *Sampler) wait(slot *slot, now time.Time) time.Duration {
	if slot.tried.IsZero() {
		return 0
	}
	return slot.tried.Add(max(s.period(now), slot.every())).Sub(now)
}

// patience is the interval that is good enough while all migrations have been
// stopped for some time.
func (s *Sampler) patience(now time.Time) time.Duration {
	shortest := time.Duration(-1)
	for _, sc := range s.scopes {
		if shut, _ := sc.shut(now); shut {
			continue
		}
		stopped := time.Duration(0)
		if v := sc.current.Load().report.Verdict; v.Action == Stop {
			stopped = now.Sub(v.Since)
		}
		if shortest < 0 || stopped < shortest {
			shortest = stopped
		}
	}
	switch {
	case shortest > time.Minute:
		return 5 * time.Second
	case shortest > lasting:
		return time.Second
	default:
		return 0
	}
}

// next returns when to step again.
func (s *Sampler) next(now time.Time) (next time.Duration, more bool) {
	const (
		tick     = time.Second // for windows that close, and overrides that expire; costs no statement
		distrust = time.Minute // of the wall clock, which somebody may set
	)
	sooner := func(d time.Duration) {
		if d = max(d, 0); !more || d < next {
			next, more = d, true
		}
	}
	for _, sc := range s.scopes {
		shut, until := sc.shut(now)
		c := sc.config(now)
		switch {
		case shut && until.IsZero():
		case shut:
			sooner(min(until.Sub(now), distrust))
		default:
			if len(c.Windows) > 0 || sc.expires.After(now) {
				sooner(tick)
			}
			s.soonest(sc, now, sooner)
		}
	}
	return next, more
}

// soonest passes on when each signal of an open migration is due.
func (s *Sampler) soonest(sc *scope, now time.Time, sooner func(time.Duration)) {
	for _, slot := range s.slots {
		if sc.wants(slot, now) {
			sooner(s.wait(slot, now))
		}
	}
	c := sc.config(now)
	if !c.Enabled {
		return
	}
	for _, query := range c.Custom {
		if slot := s.customs[query.key()]; slot != nil && !slot.running {
			sooner(slot.tried.Add(time.Duration(query.key().every)).Sub(now))
		}
	}
}
