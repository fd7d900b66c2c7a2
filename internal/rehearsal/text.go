package rehearsal

import (
	"fmt"
	"strings"

	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// Write writes the report for people.
func (r *Report) Write(s terminal.Screen) error {
	w := writer{screen: s}
	w.head(r)
	w.findings(r.Findings)
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.batches(r); err != nil {
		return err
	}
	w.measured(r)
	w.projected(r)
	w.rest(r)
	return w.flush()
}

type writer struct {
	screen terminal.Screen
	text   strings.Builder
}

// flush writes what was collected: tables go to the screen by themselves.
func (w *writer) flush() error {
	if _, err := w.screen.Out.Write([]byte(w.text.String())); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	w.text.Reset()
	return nil
}

func (w *writer) title(text string) {
	w.text.WriteString("\n" + w.screen.Paint(terminal.Bold, text) + "\n")
}

func (w *writer) head(r *Report) {
	name := r.Migration
	if name == "" {
		name = "not enqueued yet"
	}
	text := r.Work + " on " + r.Table
	if len(r.Key) > 0 {
		text += " along " + strings.Join(r.Key, ", ")
	}
	w.text.WriteString(w.screen.Paint(terminal.Bold, terminal.Clean(name)) + "  " + terminal.Clean(text) + "\n")
	if r.Statement != "" {
		w.lines("  ", terminal.Plain, terminal.Clean(r.Statement))
	}
	for i, line := range r.Plan {
		if i == 0 {
			w.title("Plan")
		}
		w.text.WriteString("  " + w.screen.Paint(terminal.Dim, line) + "\n") // its indentation is its structure
	}
}

// lines writes wrapped text.
func (w *writer) lines(margin string, style terminal.Style, text string) {
	for _, line := range terminal.Wrap(text, max(0, w.screen.Width-len(margin))) {
		w.text.WriteString(margin + w.screen.Paint(style, line) + "\n")
	}
}

func styleOf(l Level) terminal.Style {
	switch l {
	case OK:
		return terminal.Green
	case Warn:
		return terminal.Yellow
	case Fail:
		return terminal.Red
	default:
		return terminal.Dim
	}
}

func (w *writer) findings(all []Finding) {
	if len(all) > 0 {
		w.title("Findings")
	}
	for _, f := range all {
		text := f.About + ": " + f.Text
		if f.Hint != "" {
			text += "; " + f.Hint
		}
		room := 0
		if w.screen.Width > 0 {
			room = max(w.screen.Width-8, 20)
		}
		for i, line := range terminal.Wrap(terminal.Clean(text), room) {
			label := w.screen.Paint(styleOf(f.Level), fmt.Sprintf("%-4s", f.Level))
			if i > 0 {
				label = "    "
			}
			w.text.WriteString("  " + label + "  " + line + "\n")
		}
	}
}

func (w *writer) batches(r *Report) error {
	if len(r.Batches) == 0 {
		return nil
	}
	w.title("Batches that were tried, and rolled back")
	if err := w.flush(); err != nil {
		return err
	}
	table := terminal.NewTable(
		terminal.Column{Title: "AFTER", Cut: true},
		terminal.Column{Title: "KEYS", Right: true},
		terminal.Column{Title: "ROWS", Right: true},
		terminal.Column{Title: "TIME", Right: true},
		terminal.Column{Title: "LOOK-UP", Right: true, Optional: true},
		terminal.Column{Title: "WAL/ROW", Right: true, Optional: true},
		terminal.Column{Title: "HOT", Right: true, Optional: true},
	)
	for i := range r.Batches {
		b := &r.Batches[i]
		after := "the start"
		if b.After != nil {
			after = *b.After
		}
		cells := []terminal.Cell{{Text: after}, {Text: terminal.Count(b.Keys)}, {Text: terminal.Count(b.Rows)}, {Text: duration(b.Milliseconds)}, {Text: duration(b.LookupMS)}, {}, {}}
		switch perRow := share(b.WALBytes, b.Rows); {
		case b.Failure != nil:
			cells[2] = terminal.Cell{Text: "failed", Style: terminal.Red}
		case perRow != nil:
			cells[5].Text = terminal.Bytes(int64(*perRow))
		}
		if b.HOTShare != nil {
			cells[6].Text = percent(*b.HOTShare)
		}
		table.Row(cells...)
	}
	return table.Write(w.screen)
}

func duration(ms float64) string {
	const aTenthOfASecond = 100
	if ms < aTenthOfASecond {
		return fmt.Sprintf("%.1fms", ms)
	}
	return terminal.Seconds(ms / 1000)
}

func percent(share float64) string { return fmt.Sprintf("%.0f%%", 100*share) }

// fact writes one line of a list.
func (w *writer) fact(name, text string) {
	const indent = 14
	room := 0
	if w.screen.Width > 0 {
		room = max(w.screen.Width-indent, 20)
	}
	for _, line := range terminal.Wrap(text, room) {
		w.text.WriteString("  " + w.screen.Paint(terminal.Dim, fmt.Sprintf("%-12s", name)) + line + "\n")
		name = ""
	}
}

func (w *writer) measured(r *Report) {
	m := r.Measured
	if m == nil {
		return
	}
	w.title("Measured")
	w.fact("batch", fmt.Sprintf("%s keys: %s (p90 %s)", terminal.Count(int64(m.BatchSize)), duration(m.MedianMS), duration(m.P90MS)))
	w.fact("speed", terminal.Rate(m.KeysPerSec)+" by one worker, before bookkeeping and rests")
	if m.WALPerRow != nil {
		w.fact("WAL", terminal.Bytes(int64(*m.WALPerRow))+" a row, what other sessions wrote meanwhile included")
	}
	if m.HOTShare != nil {
		w.fact("HOT", percent(*m.HOTShare)+" of the updates")
	}
}

func (w *writer) projected(r *Report) {
	p := r.Forecast
	if p == nil {
		return
	}
	w.title("Projected")
	left := "about " + terminal.Count(p.Keys)
	if p.Guess {
		left += ", from a sample of the table: ANALYZE it to know better"
	}
	w.fact("rows left", left)
	w.fact("batches", fmt.Sprintf("of %s keys, by %d %s at a time", terminal.Count(int64(p.BatchSize)), p.Workers, plural(p.Workers, "worker", "workers")))
	for i, d := range p.Durations {
		name, how := "duration", "at full speed"
		if i > 0 {
			name, how = "", "when the throttle leaves it "+percent(d.Duty)+" of the time"
		}
		w.fact(name, terminal.Seconds(d.Seconds)+" "+how)
	}
	w.fact("WAL", "about "+terminal.Bytes(p.WALBytes))
	w.fact("bloat", fmt.Sprintf("%s dead rows; the table grows by up to %s and its indexes by %s, from %s in all, where vacuum does not keep up",
		terminal.Count(p.DeadRows), terminal.Bytes(p.TableBytes), terminal.Bytes(p.IndexBytes), terminal.Bytes(p.SizeBefore)))
}

// rest says what the rehearsal itself has left.
func (w *writer) rest(r *Report) {
	var dead int64
	for _, t := range r.Writes {
		dead += t.Inserted + t.Updated
	}
	if dead > 0 {
		w.text.WriteString("\n")
		w.lines("", terminal.Dim, "Every trial was rolled back. "+terminal.Count(dead)+" dead row versions stay, for vacuum to remove.")
	}
}
