package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/status"
	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// statusFlags are the flags of `bbmd status`.
type statusFlags struct {
	watch bool
	all   bool
	runs  bool
	run   int64
}

// endedShown is how many migrations that are over a list shows without --all.
const endedShown = 20

func newStatusCommand(a *app) *cobra.Command {
	var flags statusFlags
	cmd := &cobra.Command{
		Use:   "status [NAME...]",
		Short: "Show migrations: how far they are, how fast, and why nothing moves",
		Long: "Lists migrations, or shows one in detail: its settings, its history, and the jobs that failed.\n" +
			"Of several databases it lists those of all, one after the other.\n" +
			"Where a schema is configured it says what the database's schema is; --runs lists what was done\n" +
			"about it, and --run shows one of these with its steps and its log.\n\n" +
			"With --watch it follows the named ones, or all that are not over, until they are: as bars on a\n" +
			"terminal, as a line for every change elsewhere, as JSON lines with --output json. It is fed by\n" +
			"events and asks the database nothing while nothing happens. The exit code is " + strconv.Itoa(exitMigration) + " when one of\n" +
			"them failed or was cancelled.",
		Example:           "  bbmd status\n  bbmd status copy_column_users\n  bbmd status --watch --output json",
		ValidArgsFunction: a.completeNames,
		RunE:              func(cmd *cobra.Command, names []string) error { return a.status(cmd, names, flags) },
	}
	cmd.Flags().BoolVarP(&flags.watch, "watch", "w", false, "follow until all are over")
	cmd.Flags().BoolVarP(&flags.all, "all", "a", false, fmt.Sprintf("list all that are finished or cancelled, not only the latest %d", endedShown))
	cmd.Flags().BoolVar(&flags.runs, "runs", false, "list what was done about the database's schema")
	cmd.Flags().Int64Var(&flags.run, "run", 0, "show the run of that `number`")
	a.databaseFlag(cmd)
	a.outputFlag(cmd)
	return cmd
}

func (a *app) status(cmd *cobra.Command, names []string, flags statusFlags) error {
	asJSON, err := a.wantsJSON()
	if err != nil {
		return err
	}
	cfg, err := a.load()
	if err != nil {
		return err
	}
	if flags.ofAll(a, cfg, names) {
		return a.statusOfAll(cmd, cfg, flags, asJSON)
	}
	c, err := a.connectControl(cmd)
	if err != nil {
		return err
	}
	defer c.close(cmd.Context())
	switch {
	case flags.runs || flags.run != 0:
		return a.showRuns(cmd, c, flags, asJSON)
	case flags.watch:
		return a.watch(cmd, c, names, asJSON)
	case len(names) == 1:
		return a.showDetail(cmd, c, names[0], asJSON)
	}
	all, err := c.progress(cmd.Context(), flags.selection(names))
	if err == nil {
		err = c.missing(cmd, names, all)
	}
	if err != nil {
		return err
	}
	if err := a.showList(all, asJSON); err != nil || asJSON || len(names) > 0 {
		return err
	}
	return a.showSchema(cmd, c)
}

// selection says which migrations are listed.
func (f statusFlags) selection(names []string) control.Selection {
	if f.all {
		return control.Selection{Names: names}
	}
	return control.Selection{Names: names, Ended: endedShown}
}

func (a *app) screen() terminal.Screen { return terminal.Detect(a.out, os.Getenv) }

func (a *app) showList(all []control.Progress, asJSON bool) error {
	if asJSON {
		return a.printJSON(all)
	}
	if len(all) == 0 {
		return a.printf("no migrations yet: `bbmd enqueue WORK TABLE` adds one, `bbmd works` lists the Works\n")
	}
	return status.List(a.screen(), all)
}

func (a *app) showDetail(cmd *cobra.Command, c *connection, name string, asJSON bool) error {
	d, err := c.Store.Detail(cmd.Context(), c, name)
	if errors.Is(err, control.ErrNoMigration) {
		return c.noMigration(cmd, name)
	}
	if err != nil {
		return err
	}
	if err := c.attend(cmd.Context(), []*control.Progress{&d.Progress}); err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(d)
	}
	return status.Detail(a.screen(), d, time.Local)
}

func (c *connection) noMigration(cmd *cobra.Command, name string) error {
	return withCode(exitUsage, fmt.Errorf("%w named %q%s: `bbmd status` lists them", control.ErrNoMigration, name, c.suggestion(cmd, name)))
}

// missing says which of the names was not found.
func (c *connection) missing(cmd *cobra.Command, names []string, found []control.Progress) error {
	known := map[string]bool{}
	for i := range found {
		known[found[i].Name] = true
	}
	var problems []error
	for _, name := range names {
		if !known[name] {
			problems = append(problems, c.noMigration(cmd, name))
		}
	}
	return errors.Join(problems...)
}

// progress reads migrations, and says of those that wait for a daemon that there is none.
func (c *connection) progress(ctx context.Context, sel control.Selection) ([]control.Progress, error) {
	all, err := c.Store.Progress(ctx, c, sel)
	if err != nil {
		return nil, err
	}
	pointers := make([]*control.Progress, len(all))
	for i := range all {
		pointers[i] = &all[i]
	}
	return all, c.attend(ctx, pointers)
}

func (c *connection) attend(ctx context.Context, all []*control.Progress) error {
	var waiting []*control.Progress
	for _, p := range all {
		if (p.Reason == nil || control.OfDaemon(*p.Reason)) && (p.Status == control.StatusActive || p.Status == control.StatusRunning) {
			waiting = append(waiting, p)
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	attended, err := c.Store.Attended(ctx, c)
	if err != nil || attended {
		return err
	}
	for _, p := range waiting {
		reason := status.Unattended
		p.Reason = &reason
	}
	return nil
}
