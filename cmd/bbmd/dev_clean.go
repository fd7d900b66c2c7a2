package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/internal/dev"
)

func (d *devCommand) newDown() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Stop daemon and server; the data stays",
		Long: "Stops the daemon, which lets running batches finish, and then the private server. `bbmd dev up`\n" +
			"goes on with the same data. Databases elsewhere stay as they are.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := d.environment(nil)
			if err != nil {
				return err
			}
			was, err := e.Down(cmd.Context())
			switch {
			case errors.Is(err, context.DeadlineExceeded):
				return withCode(exitTimeout, err)
			case err != nil && cmd.Context().Err() != nil:
				return withCode(signalCode(cmd.Context()), errors.New("interrupted: it is ending all the same"))
			case err != nil:
				return withCode(devCode(err), err)
			case !was:
				return d.printf("it was not up\n")
			default:
				return d.printf("stopped: the data stays in %s\n", shortPath(e.Dir()))
			}
		},
	}
}

func (d *devCommand) newClean() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "clean",
		Short: "Stop all, and remove the private server with its data",
		Long: "Stops daemon and server and removes the private server with all its data, the logs and the\n" +
			"directory that has kept them. Databases elsewhere stay as they are. It wants the word clean\n" +
			"typed, or --yes, and exits " + strconv.Itoa(exitRefused) + " without.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := d.environment(nil)
			if err != nil {
				return err
			}
			return d.clean(cmd, e, yes)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func (d *devCommand) clean(cmd *cobra.Command, e *dev.Environment, yes bool) error {
	if !e.Exists() {
		return d.printf("there is nothing in %s\n", shortPath(e.Dir()))
	}
	if !yes {
		question := fmt.Sprintf("the private PostgreSQL in %s would be removed, with all its databases", shortPath(e.Dir()))
		if err := d.confirm(question, "clean"); err != nil {
			return err
		}
	}
	if err := e.Clean(cmd.Context()); err != nil {
		return withCode(devCode(err), err)
	}
	return d.printf("removed %s\n", shortPath(e.Dir()))
}
