package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
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
	}
	return table.Write(s)
}

// count is empty for nothing.
func count(n int) string {
	if n == 0 {
		return ""
	}
	return terminal.Count(int64(n))
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

// done is what came of one database, for programs.
type done struct {
	Database string             `json:"database"`
	Outcome  string             `json:"outcome"` // one of the words of outcomeWord
	State    initialize.State   `json:"state,omitempty"`
	Result   *initialize.Result `json:"result,omitempty"`
	Pending  []string           `json:"pending,omitempty"`
	Error    string             `json:"error,omitempty"`
	ExitCode int                `json:"exit_code"`
	Seconds  float64            `json:"seconds"`
}

// report shows what came of databases, and returns the command's error.
func (a *app) report(c *schemaCommand, outcomes []daemon.Outcome, table func(terminal.Screen, []done) error, err error) error {
	all := make([]done, 0, len(outcomes))
	for i := range outcomes {
		all = append(all, doneOf(&outcomes[i]))
	}
	var shown error
	switch {
	case c.asJSON:
		shown = a.printJSON(all)
	case len(all) > 0:
		shown = table(a.screen(), all)
	}
	if shown != nil {
		return shown
	}
	return c.verdict(outcomes, err)
}

// doneTable shows what was done about databases.
func doneTable(s terminal.Screen, all []done) error {
	table := terminal.NewTable(
		terminal.Column{Title: "DATABASE"},
		terminal.Column{Title: "WAS"},
		terminal.Column{Title: "OUTCOME"},
		terminal.Column{Title: "FROM", Cut: true},
		terminal.Column{Title: "TO", Cut: true},
		terminal.Column{Title: "STEPS", Right: true},
		terminal.Column{Title: "TIME", Right: true},
		terminal.Column{Title: "RUN", Right: true, Optional: true},
	)
	for i := range all {
		d := &all[i]
		result := initialize.Result{}
		if d.Result != nil {
			result = *d.Result
		}
		run := ""
		if result.Run != 0 {
			run = strconv.FormatInt(result.Run, 10)
		}
		table.Row(
			terminal.Cell{Text: d.Database, Style: terminal.Bold},
			terminal.Cell{Text: string(d.State)},
			terminal.Cell{Text: d.Outcome, Style: styleOfOutcome(d)},
			terminal.Cell{Text: strings.Join(result.From, ", ")},
			terminal.Cell{Text: strings.Join(result.To, ", ")},
			terminal.Cell{Text: count(len(result.Steps))},
			terminal.Cell{Text: terminal.Seconds(d.Seconds)},
			terminal.Cell{Text: run, Style: terminal.Dim},
		)
	}
	return table.Write(s)
}

// verifiedTable shows whether databases are where they should be.
func verifiedTable(s terminal.Screen, all []done) error {
	table := terminal.NewTable(
		terminal.Column{Title: "DATABASE"},
		terminal.Column{Title: "STATE"},
		terminal.Column{Title: "OUTCOME"},
		terminal.Column{Title: "PENDING", Cut: true},
	)
	for i := range all {
		table.Row(
			terminal.Cell{Text: all[i].Database, Style: terminal.Bold},
			terminal.Cell{Text: string(all[i].State)},
			terminal.Cell{Text: all[i].Outcome, Style: styleOfOutcome(&all[i])},
			terminal.Cell{Text: strings.Join(all[i].Pending, ", ")},
		)
	}
	return table.Write(s)
}

func styleOfOutcome(d *done) terminal.Style {
	switch {
	case d.ExitCode == exitPending || d.ExitCode == exitTransient:
		return terminal.Yellow
	case d.ExitCode != exitOK:
		return terminal.Red
	default:
		return terminal.Green
	}
}

func doneOf(o *daemon.Outcome) done {
	d := done{Database: o.Database, Result: o.Result, Outcome: outcomeWord(o), Seconds: o.Took.Seconds()}
	switch {
	case o.Finding != nil:
		d.State = o.Finding.State
	case o.Result != nil:
		d.State = o.Result.Before
	}
	if o.Err == nil {
		return d
	}
	d.Error, d.ExitCode = o.Err.Error(), schemaExitCode(o.Err)
	if refusal, ok := errors.AsType[*initialize.RefusalError](o.Err); ok {
		d.State = refusal.State
	}
	if pending, ok := errors.AsType[*initialize.PendingError](o.Err); ok {
		d.State, d.Pending = pending.State, pending.Pending
	}
	return d
}

// outcomeWord says in a word what came of a database.
func outcomeWord(o *daemon.Outcome) string {
	if o.Err == nil {
		switch {
		case o.Result == nil && o.Finding == nil:
			return "not looked at"
		case o.Finding != nil && o.Finding.State == initialize.Ahead:
			return "ahead"
		case o.Result == nil || !o.Result.Changed():
			return "up to date"
		case o.Result.Action == initialize.ActCreate:
			return "created"
		case o.Result.Action == initialize.ActBaseline:
			return "adopted"
		case o.Result.Action == initialize.ActRecreate:
			return "recreated"
		case o.Result.Action == initialize.ActStamp:
			return "stamped"
		default:
			return "migrated"
		}
	}
	switch initialize.KindOf(o.Err) {
	case initialize.KindConfig:
		return "not configured right"
	case initialize.KindPending:
		return "pending"
	case initialize.KindUnreachable:
		return "unreachable"
	case initialize.KindRefused:
		return "refused"
	case initialize.KindTransient:
		return "try again"
	case initialize.KindFailed, initialize.KindUnexpected:
	}
	return "failed"
}
