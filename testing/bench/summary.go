package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// What the lines of the summary are called, in its order. Lines that are called the
// same become one, with the figures one after the other.
const (
	briefSpeed      = "rows a second of a backfill, 1,000 a batch; a bare loop of `UPDATE`s"
	briefPolling    = "the same; a worker that polls as GitLab's registry does, without waits / once a minute"
	briefRest       = "statements a minute with nothing to do; River / that worker"
	briefStart      = "from `COMMIT` until work begins; River, jobs apart / one after the other"
	briefSlept      = "the same; that worker, a minute after its last job / hours after it"
	briefClaim      = "claiming a block beside millions of finished jobs; beside a thousand"
	briefForeground = "p99 of others' transactions during a backfill; without one"
	briefStartUp    = "start-up, hundreds of schema migrations applied; goose / golang-migrate"
	briefPending    = "500 schema migrations pending; goose / golang-migrate"
)

func briefs() []string {
	return []string{briefSpeed, briefPolling, briefRest, briefStart, briefSlept, briefClaim, briefForeground, briefStartUp, briefPending}
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
		if all := lines[name]; len(all) > 0 {
			fmt.Fprintf(b, "| %s | %s | %s | %s |\n", name, joined(all, func(l line) string { return l.value }),
				joined(all, func(l line) string { return l.beside }), joined(all, func(l line) string { return l.ratio }))
		}
	}
}

// brief returns the lines of the summary by what they are called there.
func (r *Report) brief() map[string][]line {
	lines := make(map[string][]line)
	for _, t := range r.throughput {
		for i, v := range t.variants {
			if v.brief != "" {
				f := t.figures(i)
				lines[v.brief] = append(lines[v.brief], line{value: count(f.rate), beside: count(t.figures(0).rate), ratio: fmt.Sprintf("%.2f", f.ratio)})
			}
		}
	}
	for _, l := range r.lines {
		switch {
		case l.brief != "":
			lines[l.brief] = append(lines[l.brief], l)
		case l.section == SectionForeground && l.target != "-" && len(lines[briefForeground]) == 0:
			lines[briefForeground] = []line{l}
		}
	}
	return lines
}

// joined puts a figure of all lines one after the other, without what stands in brackets
// behind it, and once where it is the same.
func joined(all []line, figure func(line) string) string {
	var parts []string
	for _, l := range all {
		plain, _, _ := strings.Cut(figure(l), " (")
		parts = append(parts, plain)
	}
	return strings.Join(slices.Compact(parts), " / ")
}
