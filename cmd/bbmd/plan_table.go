package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// planTable shows what databases are, and what would be done about them.
func planTable(s terminal.Screen, outcomes []daemon.Outcome) error {
	table := terminal.NewTable(
		terminal.Column{Title: "DATABASE"},
		terminal.Column{Title: "STATE"},
		terminal.Column{Title: "TOOL", Optional: true},
		terminal.Column{Title: "AT", Cut: true},
		terminal.Column{Title: "TARGET", Cut: true},
		terminal.Column{Title: "PENDING", Right: true},
		terminal.Column{Title: "WOULD"},
	)
	for i := range outcomes {
		f := outcomes[i].Finding
		if f == nil {
			table.Row(terminal.Cell{Text: outcomes[i].Database, Style: terminal.Bold}, terminal.Cell{Text: "not known", Style: terminal.Red},
				terminal.Cell{}, terminal.Cell{}, terminal.Cell{}, terminal.Cell{}, terminal.Cell{})
			continue
		}
		table.Row(
			terminal.Cell{Text: f.Database, Style: terminal.Bold},
			terminal.Cell{Text: string(f.State), Style: styleOfState(f)},
			terminal.Cell{Text: string(f.Tool), Style: terminal.Dim},
			terminal.Cell{Text: strings.Join(f.Current, ", ")},
			terminal.Cell{Text: strings.Join(f.Target, ", ")},
			terminal.Cell{Text: count(len(f.Pending))},
			terminal.Cell{Text: would(f), Style: styleOfState(f)},
		)
		planNotes(f, table.Note)
		differenceNotes(outcomes[i].Difference, table.Note)
	}
	return table.Write(s)
}

func styleOfState(f *initialize.Finding) terminal.Style {
	switch f.Plan.Action {
	case initialize.ActStop:
		return terminal.Red
	case initialize.ActNothing:
		return terminal.Green
	default:
		return terminal.Yellow
	}
}

// would says in a word what migrate would do.
func would(f *initialize.Finding) string {
	switch f.Plan.Action {
	case initialize.ActNothing:
		return "nothing"
	case initialize.ActStop:
		return "stop"
	default:
		return string(f.Plan.Action)
	}
}

// mostSteps is how many steps of one plan are listed: the rest is a figure, and in the JSON.
const mostSteps = 20

func planNotes(f *initialize.Finding, note func(terminal.Style, string)) {
	if f.Production {
		note(terminal.Blue, "marked as production: it is never recreated")
	}
	if f.Plan.Stop != "" {
		note(terminal.Red, f.Plan.Stop)
		return
	}
	if f.Plan.Action != initialize.ActNothing && f.Plan.Why != "" {
		note(terminal.Plain, f.Plan.Why)
	}
	for i, step := range f.Plan.Steps {
		if i == mostSteps {
			note(terminal.Dim, fmt.Sprintf("and %d more", len(f.Plan.Steps)-mostSteps))
			return
		}
		note(terminal.Plain, stepText(step))
	}
}

// differenceNotes say how a schema differs from the declared one, an object a line.
func differenceNotes(d *daemon.SchemaDifference, note func(terminal.Style, string)) {
	switch {
	case d == nil:
	case d.Empty():
		note(terminal.Green, "it is the declared schema")
	default:
		note(terminal.Yellow, "it differs from the declared schema")
		for line := range strings.Lines(d.String()) {
			note(terminal.Plain, line)
		}
	}
}

// stepText is one step on one line.
func stepText(p initialize.Planned) string {
	parts := []string{p.Does}
	for _, part := range []string{p.Version, p.Name} {
		if part != "" && !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	text := strings.Join(parts, " ")
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if p.File != "" {
		text += " (" + p.File + ")"
	}
	return text
}
