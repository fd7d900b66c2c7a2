package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// Report is what all runs have shown together, for people. Runs may end at the same time. The zero Report is ready.
type Report struct {
	mu        sync.Mutex
	scenarios map[string]*sum
	faults    map[string]*sum
	orphans   sum
}

// sum is what one line of the report is about.
type sum struct {
	runs, faults, jobs, takenOver int
	elapsed                       time.Duration
	recovered                     []time.Duration // until work went on
}

// Add adds the figures of a run that has ended.
func (r *Report) Add(f *Figures) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.scenarios == nil {
		r.scenarios, r.faults = map[string]*sum{}, map[string]*sum{}
	}
	of := at(r.scenarios, f.name)
	of.runs, of.faults, of.elapsed = of.runs+1, of.faults+f.injected, of.elapsed+f.elapsed
	of.jobs, of.takenOver = of.jobs+f.jobs, of.takenOver+f.takenOver
	for fault, all := range f.progress {
		of.recovered = append(of.recovered, all...)
		about := at(r.faults, fault)
		about.recovered = append(about.recovered, all...)
	}
	r.orphans.recovered = append(r.orphans.recovered, f.orphans...)
}

func at(all map[string]*sum, name string) *sum {
	if all[name] == nil {
		all[name] = &sum{}
	}
	return all[name]
}

// String is two tables, of scenarios and of kinds of faults; empty where nothing was added.
func (r *Report) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.scenarios) == 0 {
		return ""
	}
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	var all sum
	fmt.Fprintln(table, "\nSCENARIO\tRUNS\tFAULTS\tJOBS\tTAKEN OVER\tTIME\tRECOVERS (p50)\t(max)")
	for _, name := range slices.Sorted(maps.Keys(r.scenarios)) {
		one := r.scenarios[name]
		one.write(table, name)
		all.add(one)
	}
	all.write(table, "all")
	fmt.Fprintln(table, "\nFAULT\tTIMES\tRECOVERS (p50)\t(max)")
	for _, name := range slices.Sorted(maps.Keys(r.faults)) {
		fmt.Fprintf(table, "%s\t%d\t%s\n", name, len(r.faults[name].recovered), r.faults[name].recovery())
	}
	if n := len(r.orphans.recovered); n > 0 {
		fmt.Fprintf(table, "nothing is left to the dead\t%d\t%s\n", n, r.orphans.recovery())
	}
	_ = table.Flush() // to memory
	return b.String()
}

func (s *sum) write(table *tabwriter.Writer, name string) {
	fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%s\t%s\n", name, s.runs, s.faults, s.jobs, s.takenOver, s.elapsed.Round(time.Second), s.recovery())
}

func (s *sum) add(one *sum) {
	s.runs, s.faults, s.jobs, s.takenOver = s.runs+one.runs, s.faults+one.faults, s.jobs+one.jobs, s.takenOver+one.takenOver
	s.elapsed += one.elapsed
	s.recovered = append(s.recovered, one.recovered...)
}

// recovery is the median and the greatest of the times until work went on.
func (s *sum) recovery() string {
	if len(s.recovered) == 0 {
		return "-\t-"
	}
	middle, most := spread(s.recovered)
	return fmt.Sprintf("%s\t%s", middle, most)
}
