package chaos

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Key is the type of the key that batches walk along.
type Key string

// The keys, of which the first lies in the table's order and the second does not.
const (
	BigInt Key = "bigint"
	UUID   Key = "uuid"
)

// Work is how the Work is written, which decides how its batches are sent.
type Work string

// The Works.
const (
	SQL Work = "sql" // execute_sql, by `bbmd run`
	Go  Work = "go"  // a function, in a daemon that embeds bbmd
)

// Cell is one combination of what a scenario is about.
type Cell struct {
	Key      Key
	Work     Work
	Workers  int  // over all replicas: the migration's parallelism
	Replicas int  // daemons
	Network  bool // a proxy lies between, and connections are among the faults
	World    bool // the server's clock and its disks are among the faults
	Mounted  bool // the disk of the table is a file system of its own, where that may be mounted
}

// Name names the cell, as a test is named.
func (c Cell) Name() string {
	name := fmt.Sprintf("%s_%s_%d_workers_%d_replicas", c.Key, c.Work, c.Workers, c.Replicas)
	if c.Network {
		name += "_network"
	}
	if c.World {
		name += "_world"
	}
	if c.Mounted {
		name += "_mounted"
	}
	return name
}

// Form is how long a run is.
type Form int

// The forms.
const (
	Short Form = iota // for every push
	Long
)

// Cells returns the cells of a form. The long form has all combinations. The short one
// has those of key, workers and replicas, with the Works taken in turns so
// that each meets each key, number of workers and number of replicas.
func Cells(form Form) []Cell {
	var cells []Cell
	for i, key := range []Key{BigInt, UUID} {
		for j, workers := range []int{1, 4} {
			for k, replicas := range []int{1, 2} {
				for l, work := range []Work{SQL, Go} {
					if form == Long || (i+j+k+l)%2 == 0 {
						cells = append(cells, Cell{Key: key, Work: work, Workers: workers, Replicas: replicas})
					}
				}
			}
		}
	}
	cells = append(cells, Cell{Key: BigInt, Work: SQL, Workers: 4, Replicas: 2, Network: true}, Cell{Key: BigInt, Work: SQL, Workers: 2, Replicas: 2, World: true})
	if form == Long {
		cells = append(cells, Cell{Key: UUID, Work: Go, Workers: 1, Replicas: 2, Network: true}, Cell{Key: UUID, Work: Go, Workers: 2, Replicas: 1, World: true, Mounted: true})
	}
	return cells
}

// FaultKind is what happens.
type FaultKind string

// The kinds of faults.
const (
	KillDaemon       FaultKind = "kill -9 of a daemon"
	KillBackend      FaultKind = "kill -9 of a server process"
	TerminateBackend FaultKind = "pg_terminate_backend"
	KillSingle       FaultKind = "kill -9 while a single row is tried"
	RestartServer    FaultKind = "immediate restart of the server"
	StopDaemon       FaultKind = "SIGTERM of a daemon"
	Freeze           FaultKind = "SIGSTOP of a daemon"
	FreezeLong       FaultKind = "SIGSTOP of a daemon, until the server's time-out"
	Pause            FaultKind = "pause and resume"
	Fail             FaultKind = "failing row and retry"
	SetAside         FaultKind = "failing row that is set aside"
	DeleteRow        FaultKind = "deletion of a batch's last row"
	Cut              FaultKind = "connections cut"
	Stall            FaultKind = "connections stalled"
	HalfOpen         FaultKind = "connections half open"
	HalfOpenLong     FaultKind = "connections half open, until the server's time-out"
	Latency          FaultKind = "latency"
	Trickle          FaultKind = "bytes that trickle"
	PacketsLost      FaultKind = "loss of packets, of which nobody is told"
	LockRow          FaultKind = "row that the application has locked for long"
	Deadlock         FaultKind = "deadlock with the application"
	StepForward      FaultKind = "server's clock set ahead by hours"
	StepBack         FaultKind = "server's clock set back by hours"
	StepBackPaused   FaultKind = "server's clock set back during a pause"
	StepBackRetry    FaultKind = "server's clock set back before a retry"
	DiskFull         FaultKind = "no room left for the table"
	DiskFullControl  FaultKind = "no room left for the control schema"
	DiskFullWAL      FaultKind = "no room left for the write-ahead log"
)

// IsKill reports whether the fault kills a daemon or one of its server processes.
func (k FaultKind) IsKill() bool {
	return k == KillDaemon || k == KillBackend || k == TerminateBackend || k == KillSingle
}

// Fault is one thing that goes wrong.
type Fault struct {
	Kind  FaultKind
	After int    // jobs that have to be finished since the fault before was overcome
	Pick  uint64 // decides whatever is left to choose
}

// replica returns which daemon it happens to.
func (f Fault) replica(of int) int { return int(f.Pick % uint64(of)) } //nolint:gosec // of is 1 or 2

// Scenario is one run.
type Scenario struct {
	Cell

	Seed      uint64
	Rows      int
	BatchSize int
	Sized     bool // by time, between half of BatchSize and all of it
	PerDaemon int  // workers that one daemon may have
	Faults    []Fault
}

// jobsPerFault leaves time for daemons to start again before the table is through.
const jobsPerFault = 40

// jobsPerFaultInWorld does so where nothing but a rest after each batch slows them down.
const jobsPerFaultInWorld = 1500

// Generate makes the scenario of a cell. It depends on the arguments alone.
func Generate(cell Cell, form Form, seed uint64) Scenario {
	random := rand.New(rand.NewPCG(seed, hash(cell.Name()))) //nolint:gosec // to be predictable is the point
	s := Scenario{Cell: cell, Seed: seed, BatchSize: 5 + random.IntN(21), PerDaemon: cell.Workers}
	if cell.Replicas > 1 && cell.Workers > 1 && random.IntN(2) == 0 {
		s.PerDaemon = cell.Workers / cell.Replicas // both work all the time
	}
	s.Sized = random.IntN(3) == 0
	if cell.World {
		s.BatchSize, s.Sized = 5+random.IntN(6), false
	}
	for _, m := range mixture(cell, form) {
		for range m.times {
			f := Fault{Kind: m.kind, After: 3 + random.IntN(30), Pick: random.Uint64()}
			if random.IntN(3) == 0 {
				f.After = 0 // while what the last one left is tried again
			}
			s.Faults = append(s.Faults, f)
		}
	}
	random.Shuffle(len(s.Faults), func(i, j int) { s.Faults[i], s.Faults[j] = s.Faults[j], s.Faults[i] })
	perFault := jobsPerFault
	if cell.World {
		perFault = jobsPerFaultInWorld
	}
	s.Rows = (len(s.Faults)*perFault+100)*s.BatchSize + random.IntN(s.BatchSize)
	return s
}

func hash(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // never fails
	return h.Sum64()
}

// times says how often a fault happens in a scenario.
type times struct {
	kind  FaultKind
	times int
}

// mixture is what goes wrong in a cell. Over all cells of the short form that
// is at least 50 kills and 5 restarts, and as much in each cell of the long form.
func mixture(cell Cell, form Form) []times {
	switch {
	case cell.World:
		return worldMixture(form)
	case form == Short:
		return shortMixture(cell)
	}
	all := []times{{KillDaemon, 28}, {TerminateBackend, 16}, {KillBackend, 6}, {RestartServer, 5}, {StopDaemon, 4}, {Pause, 4}, {Freeze, 2}, {DeleteRow, 4}, {LockRow, 2}, {Deadlock, 4}}
	all = append(all, failing(cell)...)
	if cell.Network {
		all = append(all, times{Cut, 12}, times{Stall, 6}, times{HalfOpen, 6}, times{HalfOpenLong, 1}, times{FreezeLong, 1},
			times{Latency, 3}, times{Trickle, 3}, times{PacketsLost, 2})
	}
	return all
}

// shortMixture gives every cell its kills; with the rest the cells take turns.
func shortMixture(cell Cell) []times {
	if cell.Network {
		return []times{{KillDaemon, 3}, {RestartServer, 1}, {Cut, 2}, {Stall, 1}, {HalfOpen, 1}, {Latency, 1}, {Trickle, 1}, {PacketsLost, 1}}
	}
	kills := []times{{KillDaemon, 3}, {TerminateBackend, 2}, {KillBackend, 1}, {DeleteRow, 1}}
	if (cell.Key == UUID) == (cell.Workers > 1) {
		return append(kills, times{RestartServer, 1}, times{Pause, 1}, times{StopDaemon, 1})
	}
	if cell.Key == UUID {
		return append(kills, times{SetAside, 1}, times{Freeze, 1}, times{LockRow, 1})
	}
	return append(kills, times{Fail, 1}, times{Freeze, 1}, times{Deadlock, 1})
}

// worldMixture is what goes wrong around the server, with a death now and then.
func worldMixture(form Form) []times {
	n := 1
	if form == Long {
		n = 4
	}
	return []times{{StepForward, n}, {StepBack, n}, {StepBackPaused, n}, {StepBackRetry, n}, {DiskFull, n}, {DiskFullControl, n}, {DiskFullWAL, n}, {KillDaemon, n}, {TerminateBackend, n - 1}}
}

// failing are rows that fail their batches: in one half of the cells the
// migration fails of each, in the other it goes on without them.
func failing(cell Cell) []times {
	if cell.Key == UUID {
		return []times{{SetAside, 2}, {KillSingle, 4}}
	}
	return []times{{Fail, 2}}
}

// Count returns how many faults of the scenario are of a kind that is wanted.
func (s Scenario) Count(wanted func(FaultKind) bool) int {
	n := 0
	for _, f := range s.Faults {
		if wanted(f.Kind) {
			n++
		}
	}
	return n
}

// String describes the scenario in a line.
func (s Scenario) String() string {
	var counts []string
	seen := map[FaultKind]bool{}
	for _, f := range s.Faults {
		if !seen[f.Kind] {
			seen[f.Kind] = true
			counts = append(counts, fmt.Sprintf("%dx %s", s.Count(func(k FaultKind) bool { return k == f.Kind }), f.Kind))
		}
	}
	size := strconv.Itoa(s.BatchSize)
	if s.Sized {
		size += " at most"
	}
	return fmt.Sprintf("%s, seed %d: %d rows in batches of %s, %d workers per daemon; %s",
		s.Name(), s.Seed, s.Rows, size, s.PerDaemon, strings.Join(counts, ", "))
}
