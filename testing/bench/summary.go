package bench

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// What the lines of the summary are called, in its order.
const (
	briefSpeed       = "rows a second of a backfill, 1,000 a batch; a bare loop of `UPDATE`s"
	briefPolling     = "the same; a worker that polls as GitLab's does, without its waits"
	briefRest        = "statements a minute with nothing to do; River"
	briefStart       = "from the `COMMIT` that enqueues until work begins; River"
	briefClaim       = "claiming a block beside millions of finished jobs; beside a thousand"
	briefForeground  = "p99 of others' transactions during a backfill; without one"
	briefStartUp     = "start-up with hundreds of migrations, all applied; goose's status"
	briefPending     = "500 pending migrations; goose"
	briefPendingPair = "the same; golang-migrate"
)

func briefs() []string {
	return []string{briefSpeed, briefPolling, briefRest, briefStart, briefClaim, briefForeground, briefStartUp, briefPending, briefPendingPair}
}

// WriteSummary writes the block of Markdown that README quotes: a line that says
// when and where, and a table of a few lines.
func (r *Report) WriteSummary(w io.Writer) error {
	var b strings.Builder
	r.summarize(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) summarize(b *strings.Builder) {
	m := r.machine
	processor := ""
	if m.processor != "" {
		processor = " of " + m.processor
	}
	command := "make bench"
	if r.quick {
		command = "make bench-quick"
	}
	fmt.Fprintf(b, "`%s` on %s: %d cores%s, PostgreSQL %s, a flush %s; medians of interleaved rounds.\n\n",
		command, m.began.UTC().Format("2006-01-02"), m.cores, processor, m.server, m.flushBefore.Round(time.Microsecond))
	b.WriteString("| what; beside what | bbmd | beside | ratio |\n|---|---|---|---|\n")
	lines := r.brief()
	for _, name := range briefs() {
		if l, found := lines[name]; found {
			ratio, _, _ := strings.Cut(l.ratio, " ")
			fmt.Fprintf(b, "| %s | %s | %s | %s |\n", name, plainly(l.value), plainly(l.beside), ratio)
		}
	}
}

// brief returns the lines of the summary by what they are called there.
func (r *Report) brief() map[string]line {
	lines := make(map[string]line)
	for _, t := range r.throughput {
		for i, v := range t.variants {
			if v.brief != "" {
				f := t.figures(i)
				lines[v.brief] = line{value: count(f.rate), beside: count(t.figures(0).rate), ratio: fmt.Sprintf("%.2f", f.ratio)}
			}
		}
	}
	for _, l := range r.lines {
		switch {
		case l.brief != "":
			lines[l.brief] = l
		case l.section == SectionForeground && l.target != "-" && lines[briefForeground].ratio == "":
			lines[briefForeground] = l
		}
	}
	return lines
}

// plainly drops what stands behind a figure in brackets.
func plainly(value string) string {
	value, _, _ = strings.Cut(value, " (")
	return value
}
