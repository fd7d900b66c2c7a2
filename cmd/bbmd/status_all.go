package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// databaseStatus is what `bbmd status --output json` says of one of several databases.
type databaseStatus struct {
	Database   string             `json:"database"`
	Migrations []control.Progress `json:"migrations,omitempty"`
	Runs       []control.Run      `json:"runs,omitempty"`
	Error      string             `json:"error,omitempty"`
}

// ofAll reports whether the command is about all databases of a configuration that has several.
func (f statusFlags) ofAll(a *app, cfg config.Config, names []string) bool {
	return a.database == "" && len(cfg.Databases) > 1 && len(names) == 0 && !f.watch && f.run == 0
}

// statusOfAll shows one database after the other. One that cannot be looked at does not hide the others.
func (a *app) statusOfAll(cmd *cobra.Command, cfg config.Config, flags statusFlags, asJSON bool) error {
	var problems []error
	found := make([]databaseStatus, 0, len(cfg.Databases))
	for i, name := range cfg.Names() {
		if !asJSON {
			if i > 0 {
				problems = append(problems, a.printf("\n"))
			}
			problems = append(problems, a.printf("%s\n", a.screen().Paint(terminal.Bold, name)))
		}
		one := databaseStatus{Database: name}
		if err := a.statusOf(cmd, cfg, &one, flags, asJSON); err != nil {
			one.Error = err.Error()
			problems = append(problems, err)
		}
		found = append(found, one)
	}
	if asJSON {
		problems = append(problems, a.printJSON(found))
	}
	return errors.Join(problems...)
}

// statusOf reads, and unless it is for JSON shows, what one of the databases has.
func (a *app) statusOf(cmd *cobra.Command, cfg config.Config, into *databaseStatus, flags statusFlags, asJSON bool) error {
	c, err := a.connectTo(cmd, cfg, into.Database)
	if err != nil {
		return err
	}
	defer c.close(cmd.Context())
	if err := c.checkControl(cmd.Context()); err != nil {
		if asJSON || !errors.Is(err, control.ErrOutdated) {
			return err
		}
		return errors.Join(a.printf("no background migrations: the control schema is not there yet\n"), a.showSchema(cmd, c))
	}
	if flags.runs {
		if into.Runs, err = c.Store.Runs(cmd.Context(), c, flags.mostRuns()); err != nil || asJSON {
			return err
		}
		return a.showRunList(c.Name, into.Runs)
	}
	if into.Migrations, err = c.progress(cmd.Context(), flags.selection(nil)); err != nil || asJSON {
		return err
	}
	return errors.Join(a.showList(into.Migrations, false), a.showSchema(cmd, c))
}
