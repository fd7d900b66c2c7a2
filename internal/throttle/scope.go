package throttle

import (
	"sync/atomic"
	"time"
)

// The names of the signals that need no reading, in the order of reports.
const (
	signalConfiguration = "configuration"
	signalWindows       = "windows"
	signalDuty          = "duty"
)

// scope is one migration and everybody who works on it. All but current
// belongs to the sampler's mutex.
type scope struct {
	Scope

	base, merged Config
	expires      time.Time // of the override; zero: never
	activities   map[*Activity]struct{}
	measured     bool // all signals were read, or tried, since it began
	before       map[string]tracked
	told         Verdict // what OnChange and the log know
	logged       bool    // a stop was
	current      atomic.Pointer[published]
}

// published is what workers see.
type published struct {
	report  Report
	changed chan struct{} // closed when there is something new to act on
	duty    float64       // when changed was made
}

// configure applies the database's configuration, and the scope's own on top.
func (s *scope) configure(base Config) error {
	merged, expires, err := base.overridden(s.Override)
	if err != nil {
		return err
	}
	s.base, s.merged, s.expires = base, merged, expires
	return nil
}

// config is what holds now.
func (s *scope) config(now time.Time) *Config {
	if !s.expires.IsZero() && !now.Before(s.expires) {
		return &s.base
	}
	return &s.merged
}

// clockOpinions are those that need no reading.
func clockOpinions(c *Config, now time.Time) map[string]opinion {
	if c.mistake != "" {
		return map[string]opinion{signalConfiguration: opinion{}.because(0, c.mistake)}
	}
	opinions := map[string]opinion{}
	if len(c.Windows) > 0 {
		opinions[signalWindows] = windowsOpinion(c.Windows, now)
	}
	if c.Duty < 1 {
		o := going(1, float64(c.Duty), UnitShare)
		reason := "the duty cycle is " + c.Duty.String()
		if c.Duty > 0 {
			reason += ": work that much of the time"
		}
		opinions[signalDuty] = o.because(float64(c.Duty), reason)
	}
	return opinions
}

// shut reports whether the clock alone stops the migration, so that there is
// nothing to read for it, and when that ends; zero: not by itself.
func (s *scope) shut(now time.Time) (shut bool, until time.Time) {
	c := s.config(now)
	if !c.Enabled {
		return false, time.Time{}
	}
	for _, o := range clockOpinions(c, now) {
		if o.action == Stop {
			shut = true
			if o.until.After(until) {
				until = o.until
			}
		}
	}
	if s.expires.After(now) && (until.IsZero() || s.expires.Before(until)) {
		until = s.expires
	}
	return shut, until
}

// evaluate asks all signals for their opinion and publishes the worst.
func (s *scope) evaluate(slots []*slot, customs map[customKey]*customSlot, workers int, now time.Time) {
	c := s.config(now)
	b := newBench(s.before, now)
	if c.Enabled {
		clock := clockOpinions(c, now)
		for _, name := range []string{signalConfiguration, signalWindows, signalDuty} {
			if o, ok := clock[name]; ok {
				b.add(name, o, time.Time{}, nil)
			}
		}
		if shut, until := s.shut(now); shut {
			b.worst.until = until
		} else {
			s.weigh(b, c, slots, customs, workers)
		}
	}
	s.before = b.after
	s.publish(b)
}

// weigh adds the opinions of what is read from the server.
func (s *scope) weigh(b *bench, c *Config, slots []*slot, customs map[customKey]*customSlot, workers int) {
	v := view{table: s.Table, pids: s.pids(), workers: workers}
	for _, slot := range slots {
		name := slot.name()
		switch {
		case slot.mode(c) == Off:
		case !s.measured:
			b.add(name, opinion{}.because(0, "the server's signals are being read for the first time"), slot.read, nil)
		default:
			b.add(name, slot.opinion(c, b.view(name, v)), slot.read, slot.err)
		}
	}
	for _, query := range c.Custom {
		slot := customs[query.key()]
		if slot == nil {
			slot = &customSlot{}
		}
		name := customPrefix + query.Name
		b.add(name, slot.opinion(c, query, b.view(name, v)), slot.read, slot.err)
	}
}

func (s *scope) pids() map[int32]bool {
	pids := map[int32]bool{}
	for a := range s.activities {
		for _, pid := range a.pids {
			pids[pid] = true
		}
	}
	return pids
}

// worthTelling is the factor between duties from which on workers who rest are woken.
const worthTelling = 1.5

func (s *scope) publish(b *bench) {
	verdict := Verdict{
		Action: b.worst.action, Duty: b.worst.duty, Signal: b.signal, Reason: b.worst.reason, Since: b.now, Until: b.worst.until,
	}
	before := s.current.Load()
	changed, duty := make(chan struct{}), verdict.Duty
	tell := false
	if before != nil {
		last := before.report.Verdict
		if last.Action == verdict.Action {
			verdict.Since = last.Since
		}
		tell = last.Action != verdict.Action || duty > before.duty*worthTelling || duty*worthTelling < before.duty
		if !tell {
			changed, duty = before.changed, before.duty
		}
	}
	s.current.Store(&published{report: Report{Migration: s.Migration, Verdict: verdict, Signals: b.states}, changed: changed, duty: duty})
	if tell {
		close(before.changed)
	}
}
