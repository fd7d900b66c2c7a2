package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/registry"
)

// controlCommand is how a [control.Command] looks on the command line.
type controlCommand struct {
	command control.Command
	short   string
	long    string
	from    []string // the statuses that --all picks; nil: there is no --all
	reason  bool     // it takes --reason
}

func newPauseCommand(a *app) *cobra.Command {
	return newControlCommand(a, controlCommand{
		command: control.Pause,
		short:   "Pause migrations: the batches under way finish, and no others begin",
		long:    "Pauses migrations, on all replicas, within milliseconds: the batches under way finish, and\nno others begin. `bbmd resume` lets them go on where they were.",
		from:    []string{control.StatusActive, control.StatusRunning},
		reason:  true,
	})
}

func newResumeCommand(a *app) *cobra.Command {
	return newControlCommand(a, controlCommand{
		command: control.Resume,
		short:   "Let paused migrations go on",
		long:    "Lets paused migrations go on where they were.",
		from:    []string{control.StatusPaused},
	})
}

func newCancelCommand(a *app) *cobra.Command {
	return newControlCommand(a, controlCommand{
		command: control.Cancel,
		short:   "End migrations for good: batches that are done stay done",
		long:    "Ends migrations for good. Batches that have finished stay done, those under way roll back,\nand a cancelled migration cannot be resumed.",
		reason:  true,
	})
}

func newRetryCommand(a *app) *cobra.Command {
	return newControlCommand(a, controlCommand{
		command: control.Retry,
		short:   "Try the failed jobs of failed migrations again",
		long:    "Puts the failed jobs of failed migrations back, with all their attempts before them, and lets\nthe migrations go on. `bbmd status NAME` says what went wrong.",
		from:    []string{control.StatusFailed},
	})
}

func newControlCommand(a *app, c controlCommand) *cobra.Command {
	var all bool
	var reason string
	cmd := &cobra.Command{
		Use:               string(c.command) + " NAME...",
		Short:             c.short,
		Long:              c.long,
		ValidArgsFunction: a.completeNames,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case all && len(args) > 0:
				return errors.New("--all and names exclude each other")
			case !all && len(args) == 0 && c.from != nil:
				return errors.New("name at least one migration, or say --all")
			case !all && len(args) == 0:
				return errors.New("name at least one migration")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.control(cmd, c, args, reason) },
	}
	if c.from != nil {
		cmd.Flags().BoolVar(&all, "all", false, "all migrations that are "+strings.Join(c.from, " or "))
	}
	if c.reason {
		cmd.Flags().StringVar(&reason, "reason", "", "`why`, for `bbmd status` and the audit")
	}
	a.databaseFlag(cmd)
	a.outputFlag(cmd)
	return cmd
}

// changed is what a command has done to one migration.
type changed struct {
	Name   string  `json:"name"`
	Before string  `json:"before"`
	After  string  `json:"after"`
	Error  *string `json:"error"`
}

// control executes a command on migrations, each for itself: one that refuses
// does not keep the others from it.
func (a *app) control(cmd *cobra.Command, c controlCommand, names []string, reason string) error {
	asJSON, err := a.wantsJSON()
	if err != nil {
		return err
	}
	conn, err := a.connectControl(cmd)
	if err != nil {
		return err
	}
	defer conn.close(cmd.Context())
	if len(names) == 0 {
		if names, err = conn.namesIn(cmd, c.from); err != nil {
			return err
		}
	}
	report := make([]changed, 0, len(names))
	var problems []error
	for _, name := range names {
		done := changed{Name: name}
		if done.Before, done.After, err = conn.Store.Do(cmd.Context(), conn, c.command, name, reason); err != nil {
			err = conn.explain(cmd, err, name)
			text := err.Error()
			done.Error = &text
			problems = append(problems, err)
		}
		report = append(report, done)
	}
	if asJSON {
		err = a.printJSON(report)
	} else {
		err = a.printChanged(report, c)
	}
	return errors.Join(append(problems, err)...)
}

func (a *app) printChanged(report []changed, c controlCommand) error {
	if len(report) == 0 {
		return a.printf("nothing to %s: no migration is %s\n", c.command, strings.Join(c.from, " or "))
	}
	for _, done := range report {
		var err error
		switch {
		case done.Error != nil:
		case done.Before == done.After:
			err = a.printf("%s: %s already\n", done.Name, done.After)
		default:
			err = a.printf("%s: %s -> %s\n", done.Name, done.Before, done.After)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// namesIn returns the names of the migrations that have one of the statuses.
func (c *connection) namesIn(cmd *cobra.Command, statuses []string) ([]string, error) {
	all, err := c.Store.Progress(cmd.Context(), c, control.Selection{Ended: 1})
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range all {
		for _, status := range statuses {
			if all[i].Status == status {
				names = append(names, all[i].Name)
			}
		}
	}
	return names, nil
}

// explain says what to do about a refusal on the command line, and gives it its
// exit code. name is the migration's.
func (c *connection) explain(cmd *cobra.Command, err error, name string) error {
	var refused *control.RefusalError
	if !errors.As(err, &refused) {
		return err
	}
	message, hint, code := refused.Message, refused.Hint, exitUsage
	switch refused.SQLState {
	case control.RefusedUnknown:
		message += c.suggestion(cmd, name)
		hint = "`bbmd status` lists them"
	case control.RefusedRight:
		code = exitRefused
	case control.RefusedStatus:
		code = exitRefused
		hint = strings.NewReplacer("SELECT bbm.", "`bbmd ", "('"+name+"')", " "+name+"`").Replace(hint)
	case control.RefusedName:
		hint = "give this one a name of its own with --name"
	case control.RefusedColumn:
		hint = "leave --column out to walk along the primary key"
	}
	if hint = strings.TrimSuffix(hint, "."); hint != "" {
		hint = ": " + strings.ToLower(hint[:1]) + hint[1:]
	}
	return withCode(code, fmt.Errorf("%s%s", message, hint))
}

// suggestion returns names that are like one that does not exist.
func (c *connection) suggestion(cmd *cobra.Command, name string) string {
	const most = 1000
	names, err := c.Store.Names(cmd.Context(), c, most)
	if err != nil {
		return "" // the message stands without it
	}
	return registry.Suggestion(name, names)
}

// completeNames is for shells.
func (a *app) completeNames(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	const most = 200
	conn, err := a.connectControl(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer conn.close(cmd.Context())
	names, err := conn.Store.Names(cmd.Context(), conn, most)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
