package main

import (
	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/daemon"
)

func newStampCommand(a *app) *cobra.Command {
	var flags schemaFlags
	cmd := &cobra.Command{
		Use:   "stamp DATABASE VERSION",
		Short: "Set the version of a database, and nothing else in it",
		Long: "Writes the version table as the database's own tool would, on your word: what mends a history\n" +
			"that is dirty, or that names revisions which the files do not have. The version is one that the\n" +
			"migrations have, the beginning of one, or head, heads or base. No migration is run, and nothing\n" +
			"is compared; what it was before is in `bbmd status --runs`.",
		Example: "  bbmd stamp billing 20260131120000\n  bbmd stamp auth heads",
		Args:    cobra.ExactArgs(2),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, partly string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeDatabases(cmd, args, partly)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.schemaCommand(cmd, args[:1], flags)
			if err != nil {
				return err
			}
			defer c.cancel()
			outcomes, err := daemon.Stamp(c.ctx, c.cfg, args[1], c.opts)
			return a.report(c, outcomes, doneTable, err)
		},
	}
	a.outputFlag(cmd)
	return cmd
}
