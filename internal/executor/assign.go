package executor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/registry"
)

// situation is what a decision about the queue rests on, besides the queue.
type situation struct {
	registry Works
	settings Settings
	now      time.Time
	mine     map[int32]int        // workers of this process, by migration
	epochs   []int32              // the owners that they are
	again    map[int32]time.Time  // not before: after an error, or while something is waited for
	held     map[int32]*throttled // kept back by the throttle
	works    map[string]lookup    // what the registry has said: of a name that it does not have that takes a while, and a long queue asks often
}

// lookup is what the registry says of a name.
type lookup struct {
	work registry.Work
	err  error
}

func (s *situation) lookup(name string) (registry.Work, error) {
	l, known := s.works[name]
	if !known {
		if s.works == nil {
			s.works = make(map[string]lookup)
		}
		l.work, l.err = s.registry.Lookup(name)
		s.works[name] = l
	}
	return l.work, l.err
}

// absent names the Works that were looked up and that this replica does not have.
func (s *situation) absent() []string {
	var names []string
	for name, l := range s.works {
		if l.err != nil {
			names = append(names, name)
		}
	}
	return names
}

// others reports whether jobs of a migration belong to owners that are not of this process.
func (s *situation) others(c *control.Candidate) bool {
	return slices.ContainsFunc(c.Owners, func(owner int32) bool { return !slices.Contains(s.epochs, owner) })
}

// situation returns what is known now.
func (e *Executor) situation() situation {
	return situation{registry: e.opts.Registry, settings: *e.settings.Load(), now: time.Now(), mine: e.mine(), epochs: e.epochs(), again: e.again, held: e.held}
}

// free is how many workers may begin.
func (s *situation) free() int {
	free := s.settings.Workers
	for _, n := range s.mine {
		free -= n
	}
	return free
}

// decision is what one reconcile does.
type decision struct {
	begin    []assignment      // workers to begin, in this order
	free     int               // workers that have nothing to do yet
	more     []assignment      // for these, when each migration has one
	starting map[string]string // which active migration may have which table
	reasons  map[int32]string  // why a migration waits, where that is this replica's to say; empty: it does not
	wake     time.Duration     // when to look again; 0: not before an event
}

type assignment struct {
	candidate control.Candidate
	work      registry.Work
}

// decide gives free workers to what may run, in the order of the queue: first
// one to each migration, so that one which waits or fails never keeps the next from
// its turn, then more to those that allow it.
func decide(queue []control.Candidate, s situation) decision {
	d := undecided(&s)
	d.consider(queue, &s)
	d.begin = append(d.begin, d.more[:min(max(d.free, 0), len(d.more))]...)
	return d
}

func undecided(s *situation) decision {
	return decision{free: s.free(), reasons: make(map[int32]string), starting: make(map[string]string)}
}

// consider gives each migration of a part of the queue its first worker, as long as there are any.
func (d *decision) consider(queue []control.Candidate, s *situation) {
	for _, c := range queue {
		work, ok := d.runnable(&c, s)
		if !ok {
			continue
		}
		if c.Status == control.StatusActive {
			if first := d.starting[c.Table]; s.mine[c.ID] == 0 && first != "" {
				d.explain(&c, fmt.Sprintf("waits for %s, which comes first on the same table", first))
				continue // it starts when the one before it has ended: an event
			}
			d.starting[c.Table] = c.Name
		}
		// A worker of ours that has just begun does not hold its slot yet.
		taken := max(int(c.SlotsHeld), s.mine[c.ID])
		places := min(int(c.Parallelism)-taken, wanted(&c))
		if s.mine[c.ID] < int(c.Parallelism) || s.others(&c) {
			d.wakeWithin(s.settings.TakeoverInterval) // whoever else works on it may die
		}
		if s.mine[c.ID] == 0 && places > 0 && d.free > 0 {
			d.begin, d.free, places = append(d.begin, assignment{c, work}), d.free-1, places-1
		} else if s.mine[c.ID] == 0 && places > 0 {
			d.explain(&c, busyReason(s.settings.Workers))
		}
		for range places {
			d.more = append(d.more, assignment{c, work})
		}
	}
}

// busyReason says that no worker is free: it stays the same while that lasts.
func busyReason(workers int) string {
	if workers == 1 {
		return control.ReasonBusy + ": the one that there is (background_migrations.workers) is busy"
	}
	return fmt.Sprintf("%s: all %d (background_migrations.workers) are busy", control.ReasonBusy, workers)
}

// wanted is how many workers have something to do at once.
func wanted(c *control.Candidate) int {
	switch {
	case c.Status == control.StatusActive:
		return 1
	case c.Processed():
		if c.Unverified && c.SlotsHeld == 0 {
			return 1
		}
		return 0
	case c.Strategy == control.StrategyNull && c.DueIn != nil:
		if *c.DueIn <= 0 {
			return 1 // a failed batch comes first
		}
		return 0
	case !c.ChainComplete:
		return int(c.Parallelism)
	case c.DueIn != nil && *c.DueIn <= 0:
		return 1
	default:
		return 0
	}
}

// runnable reports whether this replica may work on a migration now. Where it
// may not, the decision knows when to look again, or that an event will tell.
func (d *decision) runnable(c *control.Candidate, s *situation) (registry.Work, bool) {
	work, err := s.lookup(c.Work)
	switch {
	case err != nil:
		d.explain(c, err.Error())
		return work, false
	case c.WorkVersion != nil && int(*c.WorkVersion) != work.Version:
		d.explain(c, fmt.Sprintf("waits for a replica that has version %d of the work %q; this one has version %d", *c.WorkVersion, c.Work, work.Version))
		return work, false
	case edited(c, work):
		d.explain(c, editedReason(c, work))
		return work, false
	case len(c.Waiting) > 0:
		d.explain(c, "waits for "+strings.Join(c.Waiting, ", ")+" to finish")
		return work, false
	case c.TableBusy != nil:
		d.explain(c, fmt.Sprintf("waits for %s, which is running on the same table", *c.TableBusy))
		return work, false
	}
	if s.held[c.ID] != nil {
		if len(c.Owners) > 0 {
			d.wakeWithin(s.settings.TakeoverInterval) // they may die
		}
		return work, false
	}
	if until, ok := s.again[c.ID]; ok && s.now.Before(until) {
		d.wakeWithin(until.Sub(s.now))
		return work, false
	}
	if c.DueIn != nil && *c.DueIn > 0 {
		d.wakeWithin(*c.DueIn)
		if c.ChainComplete && len(c.Owners) == 0 && c.LastError != nil {
			d.explain(c, "waits to try a failed batch again: "+*c.LastError)
		}
	}
	return work, true
}

// explain says why a migration waits, unless another replica is at it.
func (d *decision) explain(c *control.Candidate, reason string) {
	if c.SlotsHeld == 0 && (c.StatusReason == nil || *c.StatusReason != reason) {
		d.reasons[c.ID] = reason
	}
}

func (d *decision) wakeWithin(t time.Duration) {
	t = max(t, time.Millisecond)
	if d.wake == 0 || t < d.wake {
		d.wake = t
	}
}
