package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/dev"
	"github.com/bbmd-dev/bbmd/internal/terminal"
)

func (d *devCommand) newUp() *cobra.Command {
	var foreground, background bool
	var driver string
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start server and daemon, and bring the databases up",
		Long: "Starts a private PostgreSQL for the databases that have no connection string, creates and\n" +
			"migrates the databases of the profile, or all, and leaves a daemon running in the background.\n" +
			"It can be repeated at any time: it mends what was killed, runs what is pending, and starts\n" +
			"anew when the configuration has changed. Data stays until `bbmd dev clean`.\n\n" +
			"It refuses databases that are marked as production. It exits " + strconv.Itoa(exitMigration) + " when a migration failed: the rest\n" +
			"is up then, and `bbmd dev migrate` tries it again.",
		Example: "  bbmd dev up\n  bbmd dev up --profile minimal\n  bbmd dev up --foreground",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("driver") {
				d.driver = &driver
			}
			if foreground {
				return d.serve(cmd, background)
			}
			return d.up(cmd)
		},
	}
	cmd.Flags().BoolVar(&foreground, "foreground", false, "stay, log to the terminal, and end with Ctrl-C")
	cmd.Flags().StringVar(&driver, "driver", "", "`name` of the Python driver in connection strings, such as asyncpg (default as the last time)")
	cmd.Flags().BoolVar(&background, "background", false, "this is the process that `dev up` has started")
	_ = cmd.Flags().MarkHidden("background") // which only fails where there is no such flag
	d.configFlags(cmd)
	return cmd
}

// serve is the environment's process.
func (d *devCommand) serve(cmd *cobra.Command, background bool) error {
	e, err := d.environment(func(o *dev.Options) {
		o.Background = background
		if background {
			signal.Ignore(syscall.SIGHUP) // whatever becomes of the terminal
			return
		}
		o.Step, o.Ready = d.step, d.summary
	})
	if err != nil {
		return err
	}
	err = e.Serve(cmd.Context())
	if err != nil && cmd.Context().Err() != nil {
		return withCode(signalCode(cmd.Context()), errors.New("interrupted while it started: `bbmd dev up` goes on from there"))
	}
	return withCode(devCode(err), err)
}

// up is what people call.
func (d *devCommand) up(cmd *cobra.Command) error {
	e, err := d.environment(func(o *dev.Options) { o.Step = d.step })
	if err != nil {
		return err
	}
	if e, err = d.environment(func(o *dev.Options) { o.Step, o.Arguments = d.step, d.keeperArguments(e.Dir()) }); err != nil {
		return err
	}
	state, before, err := e.Up(cmd.Context())
	switch {
	case err != nil && cmd.Context().Err() != nil:
		return withCode(signalCode(cmd.Context()), errors.New("interrupted: `bbmd dev up` goes on from there"))
	case err != nil:
		return withCode(devCode(err), err)
	}
	if before {
		return d.upAgain(cmd, state)
	}
	return errors.Join(d.summary(state), devVerdict(outcomesOf(state)))
}

// upAgain runs what is pending in an environment that is up.
func (d *devCommand) upAgain(cmd *cobra.Command, state dev.State) error {
	state.Outcomes = nil // of then
	if err := d.whereabouts(state); err != nil {
		return err
	}
	var err error
	if slices.ContainsFunc(state.Databases, func(db dev.Database) bool { return db.Schema }) {
		if err = d.printf("\n"); err == nil {
			err = d.migrateAll(cmd, nil)
		}
	}
	return errors.Join(err, d.next(state))
}

// step tells what is being done.
func (d *devCommand) step(text string) {
	_, _ = fmt.Fprintln(d.err, text+" …")
}

// outcomesOf returns what came of the schemas when the environment was started.
func outcomesOf(state dev.State) []done {
	var all []done
	if len(state.Outcomes) > 0 && json.Unmarshal(state.Outcomes, &all) != nil {
		return nil // another version of bbmd wrote it
	}
	return all
}

// summary says where all is, what came of the schemas, and what to do next.
func (d *devCommand) summary(state dev.State) error {
	if err := d.whereabouts(state); err != nil {
		return err
	}
	if all := outcomesOf(state); len(all) > 0 {
		if err := d.printf("\n"); err != nil {
			return err
		}
		if err := doneTable(d.screen(), all); err != nil {
			return err
		}
	}
	return d.next(state)
}

// next says what to do next.
func (d *devCommand) next(state dev.State) error {
	next := "\nNext: bbmd dev status\n"
	if state.Server != nil {
		next = "\nNext: eval \"$(bbmd dev env)\"     # connection strings for your services, psql, and every bbmd command\n      bbmd dev status\n"
	}
	return d.printf("%s", next)
}

// whereabouts says where server and daemon are.
func (d *devCommand) whereabouts(state dev.State) error {
	screen := d.screen()
	line := func(name, text string) error {
		return d.printf("%s  %s\n", screen.Paint(terminal.Bold, fmt.Sprintf("%-10s", name)), text)
	}
	var problems []error
	if s := state.Server; s != nil {
		problems = append(problems, line("PostgreSQL", fmt.Sprintf("%s on 127.0.0.1:%d, process %d, data in %s", s.Version, s.Port, s.PID, shortPath(s.Dir))))
	}
	daemonText := fmt.Sprintf("process %d, started %s", state.PID, state.Started.Local().Format("15:04:05"))
	if state.Listen != "" {
		daemonText += ", http://" + state.Listen + "/readyz"
	}
	problems = append(problems, line("daemon", daemonText))
	if state.Dashboard != "" {
		problems = append(problems, line("dashboard", "http://"+state.Dashboard))
	}
	if state.Profile != "" {
		problems = append(problems, line("profile", state.Profile))
	}
	for _, note := range state.Notes {
		problems = append(problems, d.printf("%-10s  %s\n", "", screen.Paint(terminal.Yellow, note)))
	}
	return errors.Join(problems...)
}

// devVerdict is the error of what came of the schemas, with the code of the database that
// most needs somebody.
func devVerdict(all []done) error {
	var texts []string
	code := exitOK
	urgency := schemaUrgency()
	for i := range all {
		if all[i].Error == "" {
			continue
		}
		texts = append(texts, all[i].Error)
		if code == exitOK || slices.Index(urgency, all[i].ExitCode) < slices.Index(urgency, code) {
			code = all[i].ExitCode
		}
	}
	if len(texts) == 0 {
		return nil
	}
	return withCode(code, errors.New(strings.Join(texts, "\n")))
}

// migrateAll brings schemas up in the running environment, all where none is named.
func (d *devCommand) migrateAll(cmd *cobra.Command, names []string) error {
	if err := d.enter(cmd); err != nil {
		return err
	}
	c, err := d.schemaCommand(cmd, names, schemaFlags{all: len(names) == 0})
	if err != nil {
		return err
	}
	defer c.cancel()
	outcomes, err := daemon.Migrate(c.ctx, c.cfg, c.opts)
	return d.report(c, outcomes, doneTable, err)
}
