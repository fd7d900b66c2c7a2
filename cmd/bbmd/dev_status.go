package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/dev"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// devStatus is what `bbmd dev status --output json` says.
type devStatus struct {
	Up        bool                `json:"up"`
	Directory string              `json:"directory"`
	Keeper    *dev.State          `json:"keeper,omitempty"`    // what its process says
	Ready     bool                `json:"ready"`               // the daemon is
	NotReady  string              `json:"not_ready,omitempty"` // why not
	Changed   bool                `json:"changed"`             // the configuration or the program is another than then
	Databases []devDatabaseStatus `json:"databases"`
}

// devDatabaseStatus is one database of it.
type devDatabaseStatus struct {
	dev.Database

	Finding *initialize.Finding `json:"finding,omitempty"` // nil: it has no schema, or there is a problem
	Problem string              `json:"problem,omitempty"`
}

func (d *devCommand) newStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show server, daemon, and the state of each database's schema",
		Long: "Shows what is up: the private server, the daemon and whether it is ready, and of each database\n" +
			fmt.Sprintf("where it is and what state its schema is in. It exits %d when the environment is not up.", exitPending),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asJSON, err := d.wantsJSON()
			if err != nil {
				return err
			}
			e, err := d.environment(nil)
			if err != nil {
				return err
			}
			status, err := d.lookAround(cmd.Context(), e)
			if err != nil {
				return withCode(devCode(err), err)
			}
			if asJSON {
				err = d.printJSON(status)
			} else {
				err = d.showDevStatus(status)
			}
			if err == nil && !status.Up {
				return withCode(exitPending, dev.ErrDown)
			}
			return err
		},
	}
	d.outputFlag(cmd)
	return cmd
}

// lookAround finds out how all is.
func (d *devCommand) lookAround(ctx context.Context, e *dev.Environment) (*devStatus, error) {
	state, up, err := e.Look()
	if err != nil {
		return nil, err
	}
	status := &devStatus{Up: up, Directory: e.Dir(), Databases: []devDatabaseStatus{}}
	if up || state.PID != 0 {
		status.Keeper = &state
	}
	if !up {
		return status, nil
	}
	status.Ready, status.NotReady = ready(ctx, state)
	if state.Phase != dev.Running {
		return status, nil
	}
	if status.Changed, err = e.Changed(); err != nil {
		return nil, err
	}
	environ, err := e.Environ()
	if err != nil {
		return nil, err
	}
	d.environ = environ
	cfg, err := d.load()
	if err != nil {
		return nil, err
	}
	status.Databases = devDatabases(ctx, cfg, state.Databases)
	return status, nil
}

// devDatabases looks at the schema of each database.
func devDatabases(ctx context.Context, cfg config.Config, known []dev.Database) []devDatabaseStatus {
	all := make([]devDatabaseStatus, 0, len(known))
	var names []string
	for _, db := range known {
		all = append(all, devDatabaseStatus{Database: db})
		if cfg.Databases[db.Name].Schema.Configured() {
			names = append(names, db.Name)
		}
	}
	if len(names) == 0 {
		return all
	}
	outcomes, err := daemon.Plan(ctx, cfg, daemon.SchemaOptions{Databases: names, Version: buildVersion()})
	for i := range all {
		at := slices.IndexFunc(outcomes, func(o daemon.Outcome) bool { return o.Database == all[i].Name })
		switch {
		case at >= 0 && outcomes[at].Err != nil:
			all[i].Problem = config.Redact(outcomes[at].Err.Error())
		case at >= 0:
			all[i].Finding = outcomes[at].Finding
		case err != nil && slices.Contains(names, all[i].Name):
			all[i].Problem = config.Redact(err.Error())
		}
	}
	return all
}

// readyPatience is how long the daemon may take to say whether it is ready.
const readyPatience = 5 * time.Second

// ready asks the daemon whether it is ready.
func ready(ctx context.Context, state dev.State) (yes bool, why string) {
	if state.Phase != dev.Running {
		return false, string(state.Phase) + " " + state.Step
	}
	if state.Listen == "" {
		return false, "it has no HTTP server to ask"
	}
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	if err := dev.Ready(ctx, state.Listen); err != nil {
		return false, strings.TrimPrefix(err.Error(), "not ready: ")
	}
	return true, ""
}

// showDevStatus shows it to people.
func (d *devCommand) showDevStatus(s *devStatus) error {
	switch {
	case !s.Up && s.Keeper != nil && s.Keeper.Phase == dev.Failed:
		return d.printf("It did not come up: %s\n", s.Keeper.Error)
	case !s.Up && s.Keeper != nil:
		return d.printf("It was ended without a chance to stop in order (process %d): nothing is lost.\n", s.Keeper.PID)
	case !s.Up:
		return nil
	}
	screen := d.screen()
	word, style := "ready", terminal.Green
	if !s.Ready {
		word, style = "not ready: "+terminal.Clean(s.NotReady), terminal.Yellow
	}
	problems := []error{d.whereabouts(*s.Keeper), d.printf("%-10s  %s\n", "", screen.Paint(style, word))}
	if s.Changed {
		problems = append(problems, d.printf("%-10s  %s\n", "", screen.Paint(terminal.Yellow, "the configuration or the program has changed: `bbmd dev up` takes it up")))
	}
	if len(s.Databases) > 0 {
		problems = append(problems, d.printf("\n"), devTable(s.Databases).Write(screen))
	}
	return errors.Join(problems...)
}

// devTable is the table of databases.
func devTable(all []devDatabaseStatus) *terminal.Table {
	table := terminal.NewTable(
		terminal.Column{Title: "DATABASE"}, terminal.Column{Title: "SERVER", Cut: true},
		terminal.Column{Title: "SCHEMA"}, terminal.Column{Title: "AT", Cut: true}, terminal.Column{Title: "PENDING", Right: true},
	)
	for i := range all {
		db := &all[i]
		server := db.Where
		if db.Private {
			server = "private"
		}
		cells := []terminal.Cell{{Text: db.Name, Style: terminal.Bold}, {Text: server}}
		switch f := db.Finding; {
		case f != nil:
			cells = append(cells, terminal.Cell{Text: string(f.State), Style: styleOfState(f)},
				terminal.Cell{Text: strings.Join(f.Current, ", ")}, terminal.Cell{Text: count(len(f.Pending))})
		case db.Problem != "":
			cells = append(cells, terminal.Cell{Text: "unknown", Style: terminal.Red})
		default:
			cells = append(cells, terminal.Cell{Text: "none configured", Style: terminal.Dim})
		}
		table.Row(cells...)
		if db.Problem != "" {
			table.Note(terminal.Red, db.Problem)
		} else if db.Finding != nil && db.Finding.Plan.Stop != "" {
			table.Note(terminal.Yellow, db.Finding.Plan.Stop)
		}
	}
	return table
}
