package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/daemon"
)

func newVerifyCommand(a *app) *cobra.Command {
	flags := schemaFlags{}
	cmd := &cobra.Command{
		Use:   "verify [DATABASE...]",
		Short: "Say whether the schemas of databases are where the code needs them",
		Long: "Compares what each database has with the migrations' files. A database that is further than the\n" +
			"files is fine: an older release still runs beside it. It changes nothing. All databases that have\n" +
			"a schema are verified where none is named; SKIP_MIGRATION_VERSION_CHECK=true skips the look.\n\n" +
			"It exits 0 when all are there, " + strconv.Itoa(exitPending) + " when something is pending, " + strconv.Itoa(exitRefused) +
			" when somebody has to decide.",
		Example:           "  bbmd verify\n  bbmd verify auth billing --output json",
		ValidArgsFunction: a.completeDatabases,
		RunE: func(cmd *cobra.Command, names []string) error {
			flags.all = len(names) == 0
			c, err := a.schemaCommand(cmd, names, flags)
			if err != nil {
				return err
			}
			defer c.cancel()
			outcomes, err := daemon.VerifyAll(c.ctx, c.cfg, c.opts)
			return a.report(c, outcomes, verifiedTable, err)
		},
	}
	a.outputFlag(cmd)
	return cmd
}
