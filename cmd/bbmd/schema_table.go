package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// count is empty for nothing.
func count(n int) string {
	if n == 0 {
		return ""
	}
	return terminal.Count(int64(n))
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
		case o.Newer:
			return "newer"
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
