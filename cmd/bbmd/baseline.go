package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/daemon"
)

func newBaselineCommand(a *app) *cobra.Command {
	var flags schemaFlags
	var request daemon.BaselineRequest
	cmd := &cobra.Command{
		Use:   "baseline [DATABASE...]",
		Short: "Adopt databases that have a schema and no history, without touching them",
		Long: "Records which version a database has that came to its schema by other means, so that `bbmd\n" +
			"migrate` goes on from there. Its schema is compared with the declared one, which is built in a\n" +
			"throw-away database on the same server; where they differ the differences are printed, and\n" +
			"nothing is done. --version names the version instead, on your word.\n\n" +
			"The only write is the version table. It runs no migration. It exits " + strconv.Itoa(exitRefused) + " where schemas differ.",
		Example:           "  bbmd baseline billing\n  bbmd baseline billing --version 20260131120000\n  bbmd baseline billing --prove",
		ValidArgsFunction: a.completeDatabases,
		RunE: func(cmd *cobra.Command, names []string) error {
			c, err := a.schemaCommand(cmd, names, flags)
			if err != nil {
				return err
			}
			defer c.cancel()
			outcomes, err := daemon.Baseline(c.ctx, c.cfg, request, c.opts)
			return a.report(c, outcomes, doneTable, err)
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVar(&request.Version, "version", "", "the `version` that the database has; it is not compared")
	cmd.Flags().BoolVar(&request.Prove, "prove", false, "read every row before and after, to show that none was touched")
	a.outputFlag(cmd)
	return cmd
}
