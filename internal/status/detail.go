package status

import (
	"fmt"
	"strings"
	"time"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// Detail writes all there is to know of one migration. Times are given in loc.
func Detail(s terminal.Screen, d *control.Detail, loc *time.Location) error {
	w := detailWriter{screen: s, loc: loc}
	w.head(&d.Progress)
	w.facts(d)
	w.history(d.Transitions)
	w.jobs(d)
	if _, err := s.Out.Write([]byte(w.text.String())); err != nil {
		return fmt.Errorf("write details: %w", err)
	}
	return nil
}

type detailWriter struct {
	screen terminal.Screen
	loc    *time.Location
	text   strings.Builder
}

func (w *detailWriter) head(p *control.Progress) {
	parts := []string{w.screen.Paint(terminal.Bold, terminal.Clean(p.Name)), w.screen.Paint(styleOf(p.Status), p.Status)}
	for _, part := range []string{percent(p), rate(p), left(p), age(p)} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	w.text.WriteString(strings.Join(parts, "  ") + "\n")
	if why := Reason(p); why != "" {
		terminal.WriteNote(&w.text, w.screen, 2, terminal.Cell{Text: why, Style: styleOf(p.Status)})
	}
	if text := slowed(p); text != "" {
		terminal.WriteNote(&w.text, w.screen, 2, terminal.Cell{Text: text, Style: terminal.Yellow})
	}
	if p.Quarantined > 0 {
		terminal.WriteNote(&w.text, w.screen, 2, terminal.Cell{Text: quarantine(p), Style: terminal.Yellow})
	}
}

// facts writes what the migration is, and how far.
func (w *detailWriter) facts(d *control.Detail) {
	w.text.WriteString("\n")
	work := d.Work
	if d.WorkVersion != nil {
		work += fmt.Sprintf(" (version %d)", *d.WorkVersion)
	}
	w.fact("work", work)
	w.fact("arguments", string(d.Arguments))
	w.fact("table", d.Table)
	w.fact("key", key(d))
	w.fact("range", keyRange(d))
	w.fact("rows", passed(d))
	w.fact("batches", fmt.Sprintf("%s finished, %s running, %s pending, %s failed",
		terminal.Count(d.Batches), terminal.Count(d.RunningJobs), terminal.Count(d.PendingJobs), terminal.Count(d.FailedJobs)))
	w.fact("batch size", batchSize(d))
	attempts := "as the daemon is configured"
	if d.MaxAttempts != nil {
		attempts = terminal.Count(int64(*d.MaxAttempts))
	}
	w.fact("settings", fmt.Sprintf("parallelism %d, priority %d, attempts %s", d.Parallelism, d.Priority, attempts))
	w.fact("depends on", strings.Join(d.DependsOn, ", "))
	w.fact("enqueued", w.time(&d.CreatedAt))
	w.fact("started", w.time(d.StartedAt))
	w.fact("ended", w.time(d.FinishedAt))
}

// fact writes one line, unless it has nothing to say.
func (w *detailWriter) fact(name, value string) {
	if value == "" {
		return
	}
	const indent = 14
	room := 0
	if w.screen.Width > 0 {
		room = max(w.screen.Width-indent, 20)
	}
	for i, line := range terminal.Wrap(terminal.Clean(value), room) {
		if i > 0 {
			name = ""
		}
		w.text.WriteString("  " + w.screen.Paint(terminal.Dim, name) + strings.Repeat(" ", indent-2-len(name)) + line + "\n")
	}
}

func (w *detailWriter) time(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.In(w.loc).Format("2006-01-02 15:04:05 MST")
}

func key(d *control.Detail) string {
	if d.KeyColumns == nil {
		if d.Column == nil {
			return "the primary key"
		}
		return *d.Column
	}
	columns := make([]string, len(d.KeyColumns))
	for i, name := range d.KeyColumns {
		columns[i] = name
		if i < len(d.KeyTypes) {
			columns[i] += " " + d.KeyTypes[i]
		}
	}
	return strings.Join(columns, ", ")
}

func keyRange(d *control.Detail) string {
	first, last := "the smallest at the start", "the greatest at the start"
	if d.Min != nil {
		first = *d.Min
	}
	if d.Max != nil {
		last = *d.Max
	}
	if d.StartedAt != nil && d.Min == nil && d.Max == nil {
		return "" // there were no rows
	}
	return first + " to " + last
}

func batchSize(d *control.Detail) string {
	text := terminal.Count(int64(d.BatchSize)) + " rows"
	if now := d.CurrentBatchSize; now != nil && *now != d.BatchSize {
		text += " at the start, " + terminal.Count(int64(*now)) + " now"
	}
	var times []string
	if d.P90Milliseconds != nil {
		times = append(times, "p90 "+terminal.Seconds(*d.P90Milliseconds/1000))
	}
	if d.TargetMillis != nil && *d.TargetMillis > 0 {
		times = append(times, "target "+terminal.Seconds(*d.TargetMillis/1000))
	}
	if len(times) > 0 {
		text += " (" + strings.Join(times, ", ") + ")"
	}
	if d.BatchSizeReason != nil && *d.BatchSizeReason != "" {
		text += ": " + *d.BatchSizeReason
	}
	return text
}

func passed(d *control.Detail) string {
	if d.StartedAt == nil {
		return ""
	}
	text := terminal.Count(d.Keys) + " passed, " + terminal.Count(d.Rows) + " changed"
	if d.Total != nil {
		text += ", of ~" + terminal.Count(*d.Total)
	}
	return text
}

func (w *detailWriter) history(all []control.Transition) {
	w.title("History")
	for _, t := range all {
		line := "  " + w.screen.Paint(terminal.Dim, t.At.In(w.loc).Format("2006-01-02 15:04:05")) + "  " +
			w.screen.Paint(styleOf(t.To), fmt.Sprintf("%-9s", t.To)) + "  " + w.screen.Paint(terminal.Dim, terminal.Clean("by "+t.Who+through(t.Application)))
		w.text.WriteString(line + "\n")
		if t.Reason != nil && *t.Reason != "" {
			terminal.WriteNote(&w.text, w.screen, 4, terminal.Cell{Text: *t.Reason})
		}
	}
}

func through(application string) string {
	if application == "" {
		return ""
	}
	return " through " + application
}

func (w *detailWriter) jobs(d *control.Detail) {
	all := d.Jobs
	if len(all) == 0 {
		return
	}
	w.title("Jobs that are not finished")
	waiting := 0
	for i := range all {
		j := &all[i]
		if j.Status == "pending" && j.Error == nil {
			waiting++
			continue
		}
		line := fmt.Sprintf("job %d, %s, %s", j.ID, keysOf(j), outcome(j))
		if j.Crashes > 0 {
			line += ", its worker died " + times(int64(j.Crashes))
		}
		w.text.WriteString("  " + w.screen.Paint(styleOfOpen(j), terminal.Clean(line)) + "\n")
		if j.Error != nil {
			terminal.WriteNote(&w.text, w.screen, 4, terminal.Cell{Text: errorOf(j)})
		}
	}
	if rest := d.PendingJobs + d.RunningJobs + d.FailedJobs - int64(len(d.Jobs)-waiting); rest > 0 {
		w.text.WriteString("  " + w.screen.Paint(terminal.Dim, "and "+terminal.Count(rest)+" more") + "\n")
	}
}

func styleOfOpen(j *control.JobState) terminal.Style {
	if j.Status == "running" {
		return terminal.Cyan
	}
	return styleOfJob(j)
}

func (w *detailWriter) title(text string) {
	w.text.WriteString("\n" + w.screen.Paint(terminal.Bold, text) + "\n")
}
