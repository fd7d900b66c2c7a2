package chaos

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/invariants"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// What happens in storms alone.
const (
	DDL     FaultKind = "DDL on a table"
	Enqueue FaultKind = "migration that a user enqueues"
)

// Gust is what goes wrong at once.
type Gust struct {
	Faults []Fault       // of different kinds, in the order in which they begin
	Lasts  time.Duration // from when the last has begun until they end
}

// Storm is a run in which several things go wrong at once, again and again, while
// migrations of different Works and keys are under way on several tables.
type Storm struct {
	Seed  uint64
	Rows  int // of a table
	Gusts []Gust
}

// stormy are the faults of a gust. Of those in a line one at most happens at a time.
func stormy() [][]FaultKind {
	return [][]FaultKind{
		{KillDaemon, StopDaemon, Freeze},
		{KillBackend, RestartServer},
		{TerminateBackend},
		{Cut, Stall, HalfOpen, PacketsLost},
		{Latency, Trickle},
		{StepForward, StepBack},
		{DiskFullControl, DiskFullWAL},
		{Pause},
		{Fail},
		{LockRow},
		{DDL},
		{Enqueue},
	}
}

// GenerateStorm makes the storm of a seed. It depends on the arguments alone.
func GenerateStorm(form Form, seed uint64) Storm {
	random := rand.New(rand.NewPCG(seed, hash("storm"))) //nolint:gosec // to be predictable is the point
	s := Storm{Seed: seed, Rows: 2000, Gusts: make([]Gust, 2)}
	if form == Long {
		s.Rows, s.Gusts = 40000, make([]Gust, 25)
	}
	for i := range s.Gusts {
		kinds := stormy()
		random.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		gust := &s.Gusts[i]
		for _, one := range kinds[:3+random.IntN(4)] {
			gust.Faults = append(gust.Faults, Fault{Kind: one[random.IntN(len(one))], Pick: random.Uint64()})
		}
		gust.Lasts = time.Duration(200+random.IntN(1300)) * time.Millisecond
	}
	return s
}

// Count returns how many faults there are.
func (s Storm) Count(kind FaultKind) int {
	n := 0
	for _, gust := range s.Gusts {
		for _, f := range gust.Faults {
			if f.Kind == kind {
				n++
			}
		}
	}
	return n
}

// String describes the storm in a line.
func (s Storm) String() string {
	gusts := make([]string, len(s.Gusts))
	for i, gust := range s.Gusts {
		gusts[i] = gust.String()
	}
	return fmt.Sprintf("storm, seed %d, tables of %d rows: %s", s.Seed, s.Rows, strings.Join(gusts, "; "))
}

func (g Gust) String() string {
	kinds := make([]string, len(g.Faults))
	for i, f := range g.Faults {
		kinds[i] = string(f.Kind)
	}
	return strings.Join(kinds, " + ")
}

// storm is a [Storm] that is played.
type storm struct {
	*run

	rows   int      // of a table
	fields []field  // what is under way
	late   []field  // what a user is to enqueue still
	ends   []func() // of the faults of a gust
}

// RunStorm plays a storm, and fails the test where a migration does not go on when a gust is over, where one
// fails of what is not its own, or where an invariant does not hold.
func RunStorm(tb testing.TB, s Storm, programs Programs) *Figures {
	tb.Helper()
	around := newWorld(tb)
	cell := Cell{Work: Go, Workers: 2, Replicas: 2, Network: true, World: true}
	r := &storm{rows: s.Rows, fields: fields(), late: lateFields(s.Count(Enqueue))}
	// None waits for a free worker.
	r.run = newRun(tb, Scenario{Cell: cell, Seed: s.Seed, PerDaemon: 16}, pgserver.Options{Binaries: around.binaries()})
	r.world, r.figures.name = around, "storm"
	r.data = pgtest.One[string](tb, r.db.Superuser(tb), "SHOW data_directory")
	r.plant()
	r.hire(programs)
	tb.Cleanup(r.explain) // before the logs go away
	r.underWay()
	for _, gust := range s.Gusts {
		r.blow(gust)
		r.calm(gust)
	}
	r.over()
	for _, f := range r.fields {
		invariants.Check(tb, r.db, f.migration())
		invariants.Counted(tb, r.db, f.migration(), f.counter)
	}
	for _, daemon := range r.replicas {
		r.compareLog(daemon)
	}
	return r.figures
}

// blow has the faults of a gust begin, one upon the other, and lets them last.
func (r *storm) blow(gust Gust) {
	r.tb.Helper()
	began := time.Now()
	for _, f := range gust.Faults {
		r.tell("%s, pick %d", f.Kind, f.Pick)
		r.begin(f)
		r.figures.injected++
		r.hold(time.Duration(f.Pick/16%150) * time.Millisecond)
	}
	r.hold(gust.Lasts)
	for _, end := range r.ends {
		end()
	}
	r.ends = nil
	if strings.Contains(gust.String(), "server") || strings.Contains(gust.String(), "no room") {
		r.lossOfLogs(began, time.Now())
	}
}

// calm waits until everything goes on that a gust has hindered, after users have put right what was theirs.
func (r *storm) calm(gust Gust) {
	r.tb.Helper()
	over := time.Now()
	since := r.standing()
	r.amend()
	r.until("every migration goes on after "+gust.String(), func() (bool, error) {
		left, err := r.laggards(since)
		return len(left) == 0, err
	})
	r.figures.overcame("several faults at once", time.Since(over))
	r.tb.Logf("every migration goes on %s after %s", rounded(time.Since(over)), gust)
	for _, daemon := range r.replicas {
		r.until(daemon.name+" is ready after "+gust.String(), func() (bool, error) {
			daemon.running()
			return daemon.answers("/readyz") == http.StatusOK, nil
		})
	}
	r.figures.took("all daemons are ready after several faults at once", time.Since(over))
	r.agree()
	r.tell("all goes on")
}
