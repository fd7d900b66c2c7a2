package status

import (
	"fmt"
	"strings"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// List writes a table of migrations. Below each goes why it does not move, and
// which jobs failed.
func List(s terminal.Screen, all []control.Progress) error {
	table := terminal.NewTable(
		terminal.Column{Title: "NAME", Cut: true},
		terminal.Column{Title: "STATUS"},
		terminal.Column{Title: "DONE", Right: true},
		terminal.Column{Title: "ROWS", Right: true},
		terminal.Column{Title: "RATE", Right: true},
		terminal.Column{Title: "TIME", Right: true},
		terminal.Column{Title: "WORK", Optional: true},
		terminal.Column{Title: "TABLE", Optional: true},
	)
	for i := range all {
		p := &all[i]
		table.Row(
			terminal.Cell{Text: p.Name, Style: terminal.Bold},
			terminal.Cell{Text: p.Status, Style: styleOf(p.Status)},
			terminal.Cell{Text: percent(p)},
			terminal.Cell{Text: rows(p)},
			terminal.Cell{Text: rate(p)},
			terminal.Cell{Text: left(p) + age(p)},
			terminal.Cell{Text: p.Work, Style: terminal.Dim},
			terminal.Cell{Text: p.Table, Style: terminal.Dim},
		)
		notes(p, table.Note)
	}
	return table.Write(s)
}

// notes calls add with what is to be said of a migration besides figures.
func notes(p *control.Progress, add func(terminal.Style, string)) {
	why := Reason(p)
	if why != "" {
		style := styleOf(p.Status)
		if p.Status == control.StatusRunning || p.Status == control.StatusActive {
			style = terminal.Yellow
		}
		add(style, why)
	}
	if text := slowed(p); text != "" {
		add(terminal.Yellow, text)
	}
	if p.Quarantined > 0 {
		add(terminal.Yellow, quarantine(p))
	}
	shown := int64(0)
	for i := range p.Troubles {
		j := &p.Troubles[i]
		if j.Status == "failed" {
			shown++
		}
		if strings.HasPrefix(why, fmt.Sprintf("job %d ", j.ID)) {
			continue // that is why it failed, said already
		}
		add(styleOfJob(j), trouble(j))
	}
	if more := p.FailedJobs - shown; more > 0 && shown > 0 {
		add(terminal.Red, terminal.Count(more)+" more jobs have failed")
	}
}

// Waiting reports whether any of the migrations could only be moved on by a daemon.
func Waiting(all []control.Progress) bool {
	for i := range all {
		if all[i].Status == control.StatusActive || all[i].Status == control.StatusRunning {
			return true
		}
	}
	return false
}
