package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// showSchema says what the schema of the database is, where one is configured.
func (a *app) showSchema(cmd *cobra.Command, c *connection) error {
	if !c.Config.Databases[c.Name].Schema.Configured() {
		return nil
	}
	outcomes, err := daemon.Plan(cmd.Context(), c.Config, daemon.SchemaOptions{Databases: []string{c.Name}, Version: buildVersion()})
	if err == nil && outcomes[0].Finding == nil {
		err = errors.New("nothing was found")
	}
	if err != nil {
		return a.printf("\nSchema\n  not known: %v\n", err)
	}
	f := outcomes[0].Finding
	screen := a.screen()
	return a.printf("\n%s\n  %s\n", screen.Paint(terminal.Bold, "Schema"), screen.Paint(styleOfState(f), terminal.Clean(schemaText(f))))
}

// schemaText says on one line what a schema is and what is to be done about it.
func schemaText(f *initialize.Finding) string {
	text := string(f.State)
	if f.Tool != "" {
		text += ", " + string(f.Tool)
	}
	if len(f.Current) > 0 {
		text += ", at " + strings.Join(f.Current, ", ")
	}
	switch {
	case f.Plan.Action == initialize.ActNothing:
		return text + ", up to date"
	case f.Plan.Stop != "":
		return text + ": " + f.Plan.Stop
	case len(f.Pending) > 0:
		return fmt.Sprintf("%s, %s pending: bbmd migrate %s", text, terminal.Count(int64(len(f.Pending))), f.Database)
	default:
		return text + ": bbmd migrate " + f.Database
	}
}

// runsShown is how many runs are listed without --all, and runsRead how many with it.
const (
	runsShown = 20
	runsRead  = 10_000
)

// showRuns lists what was done about the schema, or shows one run.
func (a *app) showRuns(cmd *cobra.Command, c *connection, flags statusFlags, asJSON bool) error {
	runs, err := c.Store.Runs(cmd.Context(), c, flags.mostRuns())
	if err != nil {
		return err
	}
	if flags.run != 0 {
		return a.showRun(c, runs, flags.run, asJSON)
	}
	if asJSON {
		return a.printJSON(runs)
	}
	return a.showRunList(c.Name, runs)
}

func (a *app) showRunList(database string, runs []control.Run) error {
	if len(runs) == 0 {
		return a.printf("no runs yet: `bbmd migrate %s` brings the schema up\n", database)
	}
	return a.runsTable(runs)
}

// mostRuns is how many runs are read.
func (f statusFlags) mostRuns() int {
	if f.all || f.run != 0 {
		return runsRead
	}
	return runsShown
}

func (a *app) runsTable(runs []control.Run) error {
	table := terminal.NewTable(
		terminal.Column{Title: "RUN", Right: true},
		terminal.Column{Title: "ACTION"},
		terminal.Column{Title: "OUTCOME"},
		terminal.Column{Title: "WAS"},
		terminal.Column{Title: "FROM", Cut: true},
		terminal.Column{Title: "TO", Cut: true},
		terminal.Column{Title: "STEPS", Right: true},
		terminal.Column{Title: "TIME", Right: true},
		terminal.Column{Title: "STARTED"},
		terminal.Column{Title: "HOST", Optional: true, Cut: true},
	)
	for i := range runs {
		r := &runs[i]
		table.Row(
			terminal.Cell{Text: strconv.FormatInt(r.ID, 10), Style: terminal.Bold},
			terminal.Cell{Text: r.Action},
			terminal.Cell{Text: r.Outcome, Style: styleOfRun(r.Outcome)},
			terminal.Cell{Text: r.StateBefore},
			terminal.Cell{Text: strings.Join(r.From, ", ")},
			terminal.Cell{Text: strings.Join(r.To, ", ")},
			terminal.Cell{Text: count(len(r.Steps))},
			terminal.Cell{Text: timeOf(r.StartedAt, r.FinishedAt)},
			terminal.Cell{Text: r.StartedAt.Local().Format(time.DateTime)},
			terminal.Cell{Text: r.Host, Style: terminal.Dim},
		)
		if r.Error != nil {
			table.Note(terminal.Red, runError(r))
		}
	}
	return table.Write(a.screen())
}

func styleOfRun(outcome string) terminal.Style {
	switch outcome {
	case control.OutcomeFinished:
		return terminal.Green
	case control.OutcomeFailed:
		return terminal.Red
	default:
		return terminal.Yellow
	}
}

func timeOf(from time.Time, to *time.Time) string {
	if to == nil {
		return ""
	}
	return terminal.Duration(to.Sub(from))
}

// runError says why a run failed, with what its message does not have already.
func runError(r *control.Run) string {
	text := *r.Error
	if r.SQLState != nil && !strings.Contains(text, *r.SQLState) {
		text += " (SQLSTATE " + *r.SQLState + ")"
	}
	if r.File != nil && !strings.Contains(text, *r.File) {
		place := *r.File
		if r.Line != nil {
			place += ":" + strconv.Itoa(int(*r.Line))
		}
		text = place + ": " + text
	}
	if r.Hint != nil && !strings.Contains(text, strings.TrimSuffix(*r.Hint, ".")) {
		text += ": " + *r.Hint
	}
	return text
}

// showRun shows one run: what it did, and what it had to say.
func (a *app) showRun(c *connection, runs []control.Run, id int64, asJSON bool) error {
	for i := range runs {
		if runs[i].ID != id {
			continue
		}
		if asJSON {
			return a.printJSON(runs[i])
		}
		return a.printRun(&runs[i])
	}
	return withCode(exitUsage, fmt.Errorf("database %s has no run %d: `bbmd status --runs` lists them", c.Name, id))
}

func (a *app) printRun(r *control.Run) error {
	if err := a.runsTable([]control.Run{*r}); err != nil {
		return err
	}
	if len(r.Steps) > 0 {
		table := terminal.NewTable(terminal.Column{Title: "STEP", Right: true}, terminal.Column{Title: "DOES"}, terminal.Column{Title: "VERSION"},
			terminal.Column{Title: "FILE", Cut: true}, terminal.Column{Title: "TRIES", Right: true}, terminal.Column{Title: "TIME", Right: true})
		for _, s := range r.Steps {
			table.Row(terminal.Cell{Text: strconv.Itoa(int(s.Ordinal)), Style: terminal.Bold}, terminal.Cell{Text: s.Does},
				terminal.Cell{Text: orEmpty(s.Version)}, terminal.Cell{Text: orEmpty(s.File)},
				terminal.Cell{Text: strconv.Itoa(int(s.Attempts))}, terminal.Cell{Text: timeOf(s.StartedAt, s.FinishedAt)})
		}
		if err := a.printf("\n"); err != nil {
			return err
		}
		if err := table.Write(a.screen()); err != nil {
			return err
		}
	}
	if strings.TrimSpace(r.Log) == "" {
		return nil
	}
	return a.printf("\nLog\n%s\n", printable(strings.TrimRight(r.Log, "\n")))
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// printable disarms what a program has printed, and indents it.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
	return "  " + strings.ReplaceAll(text, "\n", "\n  ")
}
