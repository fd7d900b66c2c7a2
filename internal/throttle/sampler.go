package throttle

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Options are what a [Sampler] is made of. DB and Logger are required.
type Options struct {
	// DB reads the signals: a pool of the database that is worked on. Its
	// sessions' application_name has to begin with "bbmd/", or they count as
	// others'.
	DB DB

	// Config at the start; see [Sampler.Configure]. An invalid one stops all
	// work, with its mistakes as the reason.
	Config Config

	// Logger hears of stops that last, of their end, and of signals that
	// cannot be read.
	Logger *slog.Logger

	// OnChange is called by the goroutine of Run when the action or the signal
	// that decides changes, for whoever holds migrations back. It must not
	// block, nor call the sampler. Defaults to nobody.
	OnChange func(migration string, v Verdict)
}

// Sampler reads the signals of one database and judges its migrations by them.
// All methods may be called from any goroutine.
type Sampler struct {
	log      *slog.Logger
	server   server
	onChange func(string, Verdict)
	wake     chan struct{} // one kick is as good as many

	mu      sync.Mutex
	config  Config
	slots   []*slot
	customs map[customKey]*customSlot
	scopes  map[string]*scope
	cost    time.Duration // of a reading
	failing bool          // it failed altogether
}

// New returns a sampler that reads nothing before [Sampler.Run].
func New(o Options) *Sampler { return newSampler(o, postgres{o.DB}) }

func newSampler(o Options, s server) *Sampler {
	if o.OnChange == nil {
		o.OnChange = func(string, Verdict) {}
	}
	sampler := &Sampler{
		log: o.Logger, server: s, onChange: o.OnChange, wake: make(chan struct{}, 1),
		customs: map[customKey]*customSlot{}, scopes: map[string]*scope{},
	}
	for _, s := range allSignals() {
		sampler.slots = append(sampler.slots, &slot{signal: s})
	}
	if err := sampler.Configure(o.Config); err != nil {
		sampler.config = Default()
		sampler.config.mistake = err.Error()
		sampler.log.Error("throttle configuration refused, all work stops", "error", err)
	}
	return sampler
}

// allSignals returns the signals that are read, in the order of reports: of
// those that say the same, the first is the one that decides.
func allSignals() []signal {
	return []signal{newBlocked(), newReplicaLag(), newArchiveBacklog(), newAutovacuum(), newWALRate(), newXmin(), newTraffic(), newBusy()}
}

// Configure replaces the configuration, live. The error says all that is wrong
// with it, and the one before stays. An override that does not fit on top of
// it counts no longer, and the log says so.
func (s *Sampler) Configure(c Config) error {
	if err := c.Validate(); err != nil {
		return fmt.Errorf("throttle configuration: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config = c
	for _, sc := range s.scopes {
		if err := sc.configure(c); err != nil {
			s.log.Warn("throttle override does not fit the new configuration, and does not count", "migration", sc.Migration, "error", err)
			sc.base, sc.merged, sc.expires = c, c, time.Time{}
		}
	}
	s.kick()
	return nil
}

// Begin says that a migration is at work, or wants to be. Where others have
// begun it already, the table and the override of the latest count. The caller
// ends the activity. The error says what is wrong with the override.
func (s *Sampler) Begin(of Scope) (*Activity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	sc := s.scopes[of.Migration]
	begun := sc != nil
	if !begun {
		sc = &scope{activities: map[*Activity]struct{}{}}
	}
	before := sc.Scope
	sc.Scope = of
	if err := sc.configure(s.config); err != nil {
		sc.Scope = before
		return nil, err
	}
	if !begun {
		s.admit(sc, now)
	}
	a := &Activity{sampler: s, scope: sc}
	sc.activities[a] = struct{}{}
	s.kick()
	return a, nil
}

// admit takes a new scope in. The first one after an idle time finds nothing
// that is still known.
func (s *Sampler) admit(sc *scope, now time.Time) {
	if len(s.scopes) == 0 {
		for _, slot := range s.slots {
			slot.forget()
		}
	}
	s.scopes[sc.Migration] = sc
	sc.evaluate(s.slots, s.customs, s.workers(), now)
	sc.told = sc.current.Load().report.Verdict
}

// workers is how many there are of migrations that are not stopped.
func (s *Sampler) workers() (all int) {
	for _, sc := range s.scopes {
		if p := sc.current.Load(); p == nil || p.report.Verdict.Action != Stop {
			all += len(sc.activities)
		}
	}
	return all
}

func (s *Sampler) end(a *Activity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(a.scope.activities, a)
	if len(a.scope.activities) == 0 && s.scopes[a.scope.Migration] == a.scope {
		delete(s.scopes, a.scope.Migration)
		s.kick()
	}
}

// Reports returns the verdicts on all migrations that have begun, in the order
// of their names.
func (s *Sampler) Reports() []Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	var reports []Report
	for _, sc := range s.scopes {
		reports = append(reports, sc.current.Load().report)
	}
	slices.SortFunc(reports, func(a, b Report) int { return cmp.Compare(a.Migration, b.Migration) })
	return reports
}

// kick makes Run look once more.
func (s *Sampler) kick() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run reads and judges while activities go on, until ctx ends, and returns its
// cause. Without Run no verdict changes.
func (s *Sampler) Run(ctx context.Context) error {
	var queries sync.WaitGroup
	defer queries.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.wake:
		case <-timer.C:
		}
		timer.Stop()
		if next, more := s.step(ctx, &queries); more {
			timer.Reset(next)
		}
	}
}
