package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Figures are what a run has shown. They are reported, and asserted nowhere.
type Figures struct {
	name     string
	began    time.Time
	elapsed  time.Duration
	injected int                        // faults
	progress map[string][]time.Duration // until a living owner finished a job
	others   map[string][]time.Duration // how long other things took
	orphans  []time.Duration            // until nothing was left to the dead

	jobs       int // in all
	takenOver  int // jobs that were taken over from dead owners
	takeovers  int // owners whose jobs were
	crashes    int // of the jobs taken over, those whose start had been committed alone
	transients int // failures that did not count
	splits     int // jobs that a split made
	unrecorded int // failures in a log whose record a crash of the server took with it, or a full disk refused
}

func newFigures(name string) *Figures {
	return &Figures{name: name, began: time.Now(), progress: map[string][]time.Duration{}, others: map[string][]time.Duration{}}
}

func (f *Figures) overcame(fault string, after time.Duration) {
	f.progress[fault] = append(f.progress[fault], after)
}

func (f *Figures) took(what string, time time.Duration) {
	f.others[what] = append(f.others[what], time)
}

func (f *Figures) orphaned(after time.Duration) { f.orphans = append(f.orphans, after) }

// end reads what the database knows in the end.
func (f *Figures) end(w *watch) {
	w.tb.Helper()
	f.elapsed = time.Since(f.began)
	w.row([]any{&f.jobs, &f.splits, &f.takenOver, &f.takeovers, &f.crashes, &f.transients}, `SELECT
		(SELECT count(*) FROM bbm.batched_background_migration_jobs), (SELECT count(*) FROM bbm.batched_background_migration_jobs WHERE ordinal IS NULL),
		count(*) FILTER (WHERE taken), count(DISTINCT old_owner) FILTER (WHERE taken), count(*) FILTER (WHERE new_crashes > old_crashes),
		count(*) FILTER (WHERE new_transients > old_transients)
		FROM (SELECT *, lock_mode LIKE '%Exclusive%' AS taken FROM invariants.job_events) e`)
}

// Kills returns how many daemons and server processes were killed while work was under way.
func (f *Figures) Kills() int {
	n := 0
	for fault, all := range f.progress {
		if FaultKind(fault).IsKill() {
			n += len(all)
		}
	}
	return n
}

// Restarts returns how often the server was restarted at once while work was under way.
func (f *Figures) Restarts() int { return len(f.progress[string(RestartServer)]) }

// String describes what has happened, a line for each kind of fault.
func (f *Figures) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s in %.1f s: %d faults", f.name, f.elapsed.Seconds(), f.injected)
	if kills, restarts := f.Kills(), f.Restarts(); kills+restarts > 0 {
		fmt.Fprintf(&b, ", %d kills and %d restarts of the server while work was under way among them", kills, restarts)
	}
	fmt.Fprintf(&b, "; %d jobs, %d taken over from %d dead owners (%d of them as crashes), %d transient failures, %d splits",
		f.jobs, f.takenOver, f.takeovers, f.crashes, f.transients, f.splits)
	if f.unrecorded > 0 {
		fmt.Fprintf(&b, ", %d records of failures lost with the server or for want of room", f.unrecorded)
	}
	for _, fault := range slices.Sorted(maps.Keys(f.progress)) {
		fmt.Fprintf(&b, "\n  %-52s %3dx, work goes on after %s", fault, len(f.progress[fault]), told(f.progress[fault]))
	}
	for _, what := range slices.Sorted(maps.Keys(f.others)) {
		fmt.Fprintf(&b, "\n  %-52s %3dx, in %s", what, len(f.others[what]), told(f.others[what]))
	}
	if len(f.orphans) > 0 {
		fmt.Fprintf(&b, "\n  %-52s %3dx, after %s", "nothing is left to the dead", len(f.orphans), told(f.orphans))
	}
	return b.String()
}

// spread is the median and the maximum.
func spread(all []time.Duration) (median, most time.Duration) {
	sorted := slices.Sorted(slices.Values(all))
	return rounded(sorted[(len(sorted)-1)/2]), rounded(sorted[len(sorted)-1])
}

func told(all []time.Duration) string {
	median, most := spread(all)
	return fmt.Sprintf("%s (median), %s (max)", median, most)
}

func rounded(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
