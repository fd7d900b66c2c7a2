package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/dev"
)

// devCommand is what the subcommands of `bbmd dev` share.
type devCommand struct {
	*app

	state  string  // --state
	driver *string // --driver; nil: it was not given
}

func newDevCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "A developer's environment: a private PostgreSQL, and a daemon",
		Long: "Gives a project on a developer's machine a PostgreSQL of its own, with the databases of its\n" +
			"configuration brought up, and a daemon that looks after them. Databases with a connection\n" +
			"string are used where they are. All is kept in .bbmd/dev beside the configuration file.",
		Example: "  bbmd dev up --profile minimal\n  eval \"$(bbmd dev env)\"\n  bbmd dev status\n  bbmd dev reset --database auth",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	d := &devCommand{app: a}
	cmd.AddCommand(
		d.newUp(), d.newStatus(), d.newLogs(), d.newEnv(), d.newMigrate(), d.newReset(), d.newDown(), d.newClean(),
	)
	for _, sub := range cmd.Commands() {
		sub.Flags().StringVar(&d.state, "state", "", "`directory` that keeps it all (default .bbmd/dev beside the configuration file)")
	}
	return cmd
}

// environment returns the project's environment.
func (d *devCommand) environment(also func(*dev.Options)) (*dev.Environment, error) {
	options := dev.Options{State: d.state, Sources: d.sources(), Version: buildVersion(), Log: d.err, Code: devCode, Encode: encodeOutcomes, Driver: d.driver}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	options.Program = program
	if also != nil {
		also(&options)
	}
	e, err := dev.New(options)
	return e, withCode(exitUsage, err)
}

// enter makes this command one about the databases of the environment.
func (d *devCommand) enter(cmd *cobra.Command) error {
	e, err := d.environment(nil)
	if err != nil {
		return err
	}
	environ, err := e.Enter(cmd.Context())
	if err != nil {
		return withCode(devCode(err), err)
	}
	d.environ = environ
	return nil
}

// devCode is the exit code of an error of package dev.
func devCode(err error) int {
	_, running := errors.AsType[*dev.RunningError](err)
	_, production := errors.AsType[*dev.ProductionError](err)
	_, noServer := errors.AsType[*dev.NoServerError](err)
	_, mistake := errors.AsType[*config.KeyError](err)
	failed, ended := errors.AsType[*dev.FailedError](err)
	switch {
	case ended:
		return failed.Code
	case production:
		return exitRefused
	case noServer, mistake, errors.Is(err, dev.ErrNothing):
		return exitUsage
	case errors.Is(err, dev.ErrDown):
		return exitUnreachable
	case running, errors.Is(err, syscall.EADDRINUSE):
		return exitTransient
	default:
		return exitCode(err)
	}
}

// keeperArguments are those of the process that `dev up` starts.
func (d *devCommand) keeperArguments(state string) []string {
	args := []string{"dev", "up", "--foreground", "--background", "--state=" + state}
	if d.driver != nil {
		args = append(args, "--driver="+*d.driver)
	}
	d.flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Changed {
			args = append(args, "--"+flag.Name+"="+flag.Value.String())
		}
	})
	return args
}

// encodeOutcomes is how the keeper tells what came of the schemas.
func encodeOutcomes(outcomes []daemon.Outcome) json.RawMessage {
	all := make([]done, 0, len(outcomes))
	for i := range outcomes {
		all = append(all, doneOf(&outcomes[i]))
		all[i].Error = config.Redact(all[i].Error)
	}
	text, err := json.Marshal(all)
	if err != nil {
		return nil // then nobody is told
	}
	return text
}

// completeKnown is for shells: the names of all databases, whether or not they can be reached.
func (d *devCommand) completeKnown(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return config.DatabaseNames(d.sources()), cobra.ShellCompDirectiveNoFileComp
}
