package bench

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// Report is what was measured.
type Report struct {
	machine    machine
	sections   []string
	throughput []*result
	lines      []line    // of the other sections
	resting    []resting // others than bbmd
	notes      []string  // how the others are set up
	alone      bool      // there are no others but bare PostgreSQL and goose
	quick      bool
}

// line is a figure of a section without rounds.
type line struct {
	section string
	what    string
	brief   string // what it is called in the summary; empty: it is not in there
	value   string
	beside  string // what the value is compared with
	ratio   string
	target  string
	verdict Verdict
}

// Verdicts returns how many lines have which verdict.
func (r *Report) Verdicts() map[Verdict]int {
	count := make(map[Verdict]int)
	for _, t := range r.throughput {
		for i := range t.variants {
			count[t.figures(i).verdict]++
		}
	}
	for _, l := range r.lines {
		count[l.verdict]++
	}
	return count
}

// Write writes the report as Markdown.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	r.machine.write(&b)
	b.WriteString("\n## In short\n\n")
	r.summarize(&b)
	for _, t := range r.throughput {
		t.write(&b)
	}
	if len(r.throughput) > 0 {
		b.WriteString(throughputNotes)
	}
	for _, section := range r.sections {
		r.writeLines(&b, section)
	}
	r.writeNotes(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (m *machine) write(b *strings.Builder) {
	priority := ""
	if m.realTime {
		priority = " · real-time priority"
	}
	fmt.Fprintf(b, "# bbmd beside bare PostgreSQL\n\n%s · PostgreSQL %s · %d cores · load %s before, %s after%s · fdatasync p50 %s before, %s after · took %s\n",
		m.began.UTC().Format("2006-01-02 15:04 MST"), m.server, m.cores, m.loadBefore, m.loadAfter, priority,
		m.flushBefore.Round(time.Microsecond), m.flushAfter.Round(time.Microsecond), m.took.Round(time.Second))
}

const throughputNotes = `
Ratios are rows per second relative to the bare loop (the mean of its two slices in the same round): median of the rounds, and
the middle half of them. Everything is timed, from the event that wakes the executor until the migration is finished; "without start-up" is timed from
the row's started_at to its finished_at. CPU is that of the whole server and of the client, per row, again as a ratio: above 1 is
less than the bare loop needs. Transactions are those that write, per batch. The bare loop knows its batches beforehand.
`

// figures are what the report says about one variant.
type figures struct {
	ratio, low, high, steady, cpu, total float64
	wal, written                         float64
	rate                                 float64
	verdict                              Verdict
}

func (r *result) figures(i int) figures {
	var ratios, steady []float64
	var floorCPU, ownCPU, floorWall, ownWall, wal, written, rows, batches float64
	for _, round := range r.samples {
		wall := floor(round)
		own := round[i]
		ratios = append(ratios, wall/perRow(own.wall, own))
		steady = append(steady, wall/perRow(own.running, own))
		floorCPU += float64(round[0].used.cpu+round[1].used.cpu) / 2
		ownCPU += float64(own.used.cpu)
		floorWall += wall
		ownWall += perRow(own.wall, own)
		wal += float64(own.used.wal)
		written += float64(own.used.written)
		rows += float64(own.rows)
		batches += float64(own.batches)
	}
	f := figures{
		ratio: median(ratios), low: quantile(ratios, 0.25), high: quantile(ratios, 0.75), steady: median(steady),
		cpu: floorCPU / ownCPU, total: floorWall / ownWall, wal: wal / rows, written: written / batches,
		rate: 1e9 * float64(len(r.samples)) / ownWall, verdict: Shown,
	}
	f.verdict = judgeAtLeast(f.ratio, r.variants[i].target, r.control(), uncertainty(ratios))
	return f
}

// control is the median ratio between the two bare loops.
func (r *result) control() float64 {
	ratios := make([]float64, 0, len(r.samples))
	for _, round := range r.samples {
		ratios = append(ratios, perRow(round[0].wall, round[0])/perRow(round[1].wall, round[1]))
	}
	return median(ratios)
}

// floor returns the bare loop's nanoseconds per row in a round, the mean of both.
func floor(round []sample) float64 {
	return (perRow(round[0].wall, round[0]) + perRow(round[1].wall, round[1])) / 2
}

func perRow(d time.Duration, s sample) float64 { return float64(d) / float64(s.rows) }

func (r *result) write(b *strings.Builder) {
	fmt.Fprintf(b, "\n## Throughput: %s\n\n%d rounds, slices of %d rows, A/A %.3f\n\n", r.name, len(r.samples), r.slice, r.control())
	b.WriteString("| | ratio | middle half | of totals | without start-up | CPU | WAL B/row | transactions | rows/s | target | verdict |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	for i, v := range r.variants {
		f := r.figures(i)
		target := "-"
		if v.target != 0 {
			target = fmt.Sprintf("≥ %.2f", v.target)
		}
		fmt.Fprintf(b, "| %s | **%.2f** | %.2f to %.2f | %.2f | %s | %s | %.0f | %.2f | %.0fk | %s | %s |\n", v.name, f.ratio, f.low, f.high, f.total,
			number(f.steady), number(f.cpu), f.wal, f.written, f.rate/1000, target, f.verdict)
	}
}

// number renders a ratio that may not be known.
func number(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "?"
	}
	return fmt.Sprintf("%.2f", v)
}

func (r *Report) writeLines(b *strings.Builder, section string) {
	first := true
	for _, l := range r.lines {
		if l.section != section {
			continue
		}
		if first {
			fmt.Fprintf(b, "\n## %s\n\n| | measured | beside | ratio | target | verdict |\n|---|---|---|---|---|---|\n", titles(section))
			first = false
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", l.what, l.value, l.beside, l.ratio, l.target, l.verdict)
	}
}

// writeNotes says how the others are set up.
func (r *Report) writeNotes(b *strings.Builder) {
	if r.alone {
		b.WriteString("\nMeasured without River, golang-migrate and a polling worker (-peers).\n")
	}
	if len(r.notes) > 0 {
		b.WriteString("\nThe others, set up as their documentation says and otherwise as they come:\n\n")
	}
	for _, note := range slices.Sorted(slices.Values(r.notes)) {
		fmt.Fprintf(b, "- %s\n", note)
	}
}

func titles(section string) string {
	switch section {
	case SectionWake:
		return "Wake: from an event to the first statement"
	case SectionClaim:
		return "Claims beside finished jobs"
	case SectionIdle:
		return "At rest"
	case SectionForeground:
		return "Foreground: transactions at a fixed rate, beside a backfill and beside nothing"
	case SectionSparse:
		return "Sparse keys beside dense ones: the same number of rows"
	case SectionStartUp:
		return "Start-up: schema migrations, all applied and all pending"
	case SectionPlugins:
		return "Plugins: the same Work as a plugin and compiled in"
	case SectionPeers:
		return "Beside a job queue and a polling worker"
	case SectionRows:
		return "Rows: finding batches, and a backfill to its end"
	case SectionQueue:
		return "A long queue and many finished jobs beside few"
	case SectionReplicas:
		return "Replicas on one database: one that works beside others that listen"
	case SectionDatabases:
		return "Many databases in one process"
	case SectionMemory:
		return "Memory of a process"
	case SectionProfile:
		return "Where the time of a batch goes"
	default:
		return section
	}
}
