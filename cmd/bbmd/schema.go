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
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/internal/logging"
)

// schemaFlags are the flags of commands that are about the schemas of databases.
type schemaFlags struct {
	all      bool
	parallel int
	timeout  time.Duration
	finalize bool
	newer    bool
	compare  bool
	waitFor  []string
}

// register adds the flags that every one of them has that acts.
func (f *schemaFlags) register(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&f.all, "all", "a", false, "all databases that have a schema")
	cmd.Flags().IntVar(&f.parallel, "parallel", 0, "`number` of databases at a time (default schema_migrations.parallel)")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 0, "give up after so `long`; what is done stays done (default never)")
}

// completeDatabases is for shells.
func (a *app) completeDatabases(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	cfg, err := a.load()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return daemon.SchemaDatabases(cfg), cobra.ShellCompDirectiveNoFileComp
}

// chooseSchemas returns the databases that a command is about: those that are named, or all
// where that is said, or where there is no other. A profile says it, too.
func chooseSchemas(cfg config.Config, names []string, all bool) ([]string, error) {
	known := daemon.SchemaDatabases(cfg)
	switch {
	case all && len(names) > 0:
		return nil, errors.New("--all and names exclude each other")
	case len(names) > 0:
		slices.Sort(names)
		return slices.Compact(names), nil
	case len(known) < 2 || all || cfg.Profile != "":
		return nil, nil
	default:
		return nil, fmt.Errorf("%d databases have a schema: name some of %s, or say --all", len(known), strings.Join(known, ", "))
	}
}

// errSchemaTimeout is why a command ends after --timeout.
var errSchemaTimeout = fmt.Errorf("not done in time, what is done stays done: %w", context.DeadlineExceeded)

// schemaCommand is one call of a command about schemas.
type schemaCommand struct {
	ctx    context.Context
	cancel context.CancelFunc
	cfg    config.Config
	opts   daemon.SchemaOptions
	asJSON bool
}

// schemaCommand reads the configuration and prepares what all of them need. The
// caller calls cancel.
func (a *app) schemaCommand(cmd *cobra.Command, names []string, flags schemaFlags) (*schemaCommand, error) {
	asJSON, err := a.wantsJSON()
	if err != nil {
		return nil, err
	}
	cfg, err := a.load()
	if err != nil {
		return nil, err
	}
	c := &schemaCommand{cfg: cfg, asJSON: asJSON}
	names, err = chooseSchemas(cfg, names, flags.all)
	if err != nil {
		return nil, withCode(exitUsage, err)
	}
	logger, _ := logging.New(a.err, cfg.Log)
	c.opts = daemon.SchemaOptions{
		Databases: names, Parallel: flags.parallel, Finalize: flags.finalize, AcceptNewer: flags.newer, Compare: flags.compare, Logger: logger, Version: buildVersion(),
	}
	c.ctx, c.cancel = context.WithCancel(cmd.Context())
	if flags.timeout > 0 {
		c.ctx, c.cancel = context.WithTimeoutCause(cmd.Context(), flags.timeout, errSchemaTimeout)
	}
	if err := a.waitFor(c.ctx, flags.waitFor); err != nil {
		c.cancel()
		return nil, err
	}
	return c, nil
}

// verdict gives the error of several databases the exit code of the one that
// most needs somebody.
func (c *schemaCommand) verdict(outcomes []daemon.Outcome, err error) error {
	switch {
	case err == nil:
		return nil
	case len(outcomes) == 0:
		return withCode(exitUsage, err)
	case context.Cause(c.ctx) != nil && !errors.Is(context.Cause(c.ctx), errSchemaTimeout) && !terminated(c.ctx): // whoever stops a Job starts it again
		return withCode(exitInterrupted, err)
	}
	urgency := schemaUrgency()
	code := len(urgency) - 1
	for i := range outcomes {
		if outcomes[i].Err != nil {
			code = min(code, max(0, slices.Index(urgency, schemaExitCode(outcomes[i].Err))))
		}
	}
	return withCode(urgency[code], err)
}

// schemaUrgency are the exit codes of commands about several databases, the one that most
// needs somebody first.
func schemaUrgency() []int {
	return []int{exitMigration, exitRefused, exitUsage, exitUnexpected, exitPending, exitUnreachable, exitTransient}
}

// schemaExitCode returns the exit code of what came of one database.
func schemaExitCode(err error) int {
	switch initialize.KindOf(err) {
	case initialize.KindConfig:
		return exitUsage
	case initialize.KindPending:
		return exitPending
	case initialize.KindFailed:
		return exitMigration
	case initialize.KindUnreachable:
		return exitUnreachable
	case initialize.KindRefused:
		return exitRefused
	case initialize.KindTransient:
		return exitTransient
	case initialize.KindUnexpected:
	}
	return exitUnexpected
}
