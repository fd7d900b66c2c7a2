package bench

import (
	"log/slog"
	"slices"
	"time"
)

// Options say what to measure, and how long.
type Options struct {
	// Quick takes a fifth of the time, and more noise.
	Quick bool
	// Tiny is for testing the harness itself: its figures mean nothing.
	Tiny bool
	// Only names the sections to run; empty: all of [Sections].
	Only []string
	// Program is the path of a bbmd binary, whose `run` the idle section
	// watches. Empty: an executor and a listener inside this process.
	Program string
	// Peers is the path of the program testing/bench/peers: others that bbmd is
	// measured beside. Empty: they are left out, and the report says so.
	Peers string
	// Logger is told how the measurement gets on.
	Logger *slog.Logger
}

// The sections of a report.
const (
	SectionIdle       = "idle"
	SectionWake       = "wake"
	SectionClaim      = "claim"
	SectionThroughput = "throughput"
	SectionForeground = "foreground"
	SectionSparse     = "sparse"
	SectionStartUp    = "start-up"
	SectionPlugins    = "plugins"
	SectionPeers      = "peers"
)

// Sections returns the names of all sections, in the order in which they run.
func Sections() []string {
	return []string{SectionIdle, SectionWake, SectionClaim, SectionThroughput, SectionForeground, SectionSparse, SectionStartUp, SectionPlugins, SectionPeers}
}

func (o Options) wants(section string) bool {
	return len(o.Only) == 0 || slices.Contains(o.Only, section)
}

// sizes are how much of everything is measured.
type sizes struct {
	cases     [4]extent // of throughput: 1,000 rows, 100 rows, uuid, four workers
	tableRows int       // most rows in a table, unless a single round takes more
	wakes     int       // tries of each kind
	idleWakes int       // tries after a second of silence
	finished  []int     // finished jobs beside which claims are measured
	claims    int       // claims of each kind

	foreground struct {
		rounds int
		settle time.Duration // how long a backfill runs before anybody looks: its batches have found their size by then
		slice  time.Duration
		rows   int // of the table that is backfilled
	}
	sparse    extent // slice: rows of each table
	plugins   extent
	histories []int                            // migrations of a database that is up to date
	startUps  int                              // of each kind
	pending   struct{ migrations, rounds int } // applied from nothing
	peers     peerSizes
}

// peerSizes are how much is measured beside others.
type peerSizes struct {
	warmUp, rest   time.Duration // before River is at rest, and how long it is watched
	spin           time.Duration // how long a worker that never sleeps is watched
	blocks, starts int           // blocks of each kind, and starts in a block
	silence        time.Duration // between starts that are apart: three times what River waits between fetches
	slept          int           // starts by a clock that skips sleeps
	backfill       extent
	big            int // rows of a backfill in big batches
}

// extent is how long one case of throughput is measured.
type extent struct {
	rounds int
	slice  int // rows: enough that the start of a migration's workers, some ten milliseconds each, is a small part of it
}

func (o Options) sizes() sizes {
	n := o.sizesOfOthers()
	switch f := &n.foreground; {
	case o.Tiny:
		f.rounds, f.settle, f.slice, f.rows = 2, 200*time.Millisecond, 200*time.Millisecond, 20_000
		n.sparse = extent{2, 2000}
		n.plugins = extent{2, 4000}
		n.histories, n.startUps = []int{3}, 3
		n.pending.migrations, n.pending.rounds = 3, 1
		n.peers = peerSizes{spin: 100 * time.Millisecond, blocks: 2, starts: 2, silence: 20 * time.Millisecond, slept: 2, backfill: extent{2, 4000}, big: 4000}
	case o.Quick:
		f.rounds, f.settle, f.slice, f.rows = 4, time.Second, 2*time.Second, 1_000_000
		n.sparse = extent{4, 30_000}
		n.plugins = extent{4, 64_000}
		n.histories, n.startUps = []int{5, 50}, 20
		n.pending.migrations, n.pending.rounds = 500, 1
		n.peers = peerSizes{
			warmUp: 5 * time.Second, rest: 15 * time.Second, spin: 500 * time.Millisecond,
			blocks: 2, starts: 4, silence: 300 * time.Millisecond, slept: 10, backfill: extent{2, 64_000}, big: 200_000,
		}
	default:
		f.rounds, f.settle, f.slice, f.rows = 10, 1500*time.Millisecond, 3*time.Second, 2_000_000
		n.sparse = extent{20, 30_000}
		n.plugins = extent{12, 128_000}
		n.histories, n.startUps = []int{5, 50, 500}, 100
		n.pending.migrations, n.pending.rounds = 500, 3
		n.peers = peerSizes{
			warmUp: 12 * time.Second, rest: time.Minute, spin: 2 * time.Second,
			blocks: 4, starts: 7, silence: 300 * time.Millisecond, slept: 60, backfill: extent{6, 128_000}, big: 500_000,
		}
	}
	return n
}

// sizesOfOthers are those of the sections that measure bbmd alone.
func (o Options) sizesOfOthers() sizes {
	switch {
	case o.Tiny:
		return sizes{
			cases: [4]extent{{2, 4000}, {2, 4000}, {2, 4000}, {2, 8000}}, tableRows: 60000,
			wakes: 20, finished: []int{100, 1000, 3000}, claims: 20,
		}
	case o.Quick:
		return sizes{
			cases: [4]extent{{3, 128_000}, {3, 128_000}, {3, 96_000}, {3, 256_000}}, tableRows: 2_000_000,
			wakes: 150, idleWakes: 5, finished: []int{1000, 100_000, 300_000}, claims: 400,
		}
	default:
		return sizes{
			cases: [4]extent{{9, 384_000}, {8, 256_000}, {8, 192_000}, {8, 768_000}}, tableRows: 2_000_000,
			wakes: 600, idleWakes: 20, finished: []int{1000, 100_000, 3_000_000}, claims: 2000,
		}
	}
}
