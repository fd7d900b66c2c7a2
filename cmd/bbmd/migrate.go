package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/daemon"
)

func newMigrateCommand(a *app) *cobra.Command {
	var flags schemaFlags
	var dryRun bool
	var termination string
	cmd := &cobra.Command{
		Use:   "migrate [DATABASE...]",
		Short: "Bring the schemas of databases up: create, run what is pending, adopt",
		Long: "Looks at each database, and does what it needs: an empty one is created from its models, or from\n" +
			"all of its migrations; one with a history gets what is pending; one without a history is adopted\n" +
			"where its schema is the declared one. A database that is up to date is left alone, and so is\n" +
			"one about which somebody has to decide: the message says what, and how.\n\n" +
			"It can run anywhere any number of times at once: one process acts, the others wait for it. One\n" +
			"database that fails does not stop the others; `bbmd status --runs` shows what was done.\n\n" +
			"It exits 0 when all are up to date, " + strconv.Itoa(exitMigration) + " when a migration failed, " + strconv.Itoa(exitRefused) +
			" when somebody has to decide,\n" + strconv.Itoa(exitUnreachable) + " when a database cannot be reached, " + strconv.Itoa(exitTransient) +
			" when it is worth another try.",
		Example: "  bbmd migrate\n  bbmd migrate auth billing\n  bbmd migrate --all --wait-for db:5432 --timeout 10m\n" +
			"  bbmd migrate --profile minimal --dry-run",
		ValidArgsFunction: a.completeDatabases,
		RunE: func(cmd *cobra.Command, names []string) error {
			if dryRun {
				return a.plan(cmd, names, flags)
			}
			err := a.migrate(cmd, names, flags)
			a.lastWords(termination, err)
			return err
		},
	}
	flags.register(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be done, and do nothing (`bbmd plan`)")
	cmd.Flags().BoolVar(&flags.finalize, "finalize", false, "run the background migrations that a migration requires here and now, instead of waiting for them")
	cmd.Flags().BoolVar(&flags.newer, "accept-newer", false, "be content with a database that is newer than the files, as after a roll-back to them")
	cmd.Flags().StringArrayVar(&flags.waitFor, "wait-for", nil, "wait until `host:port` accepts connections; can be repeated")
	terminationFlag(cmd, &termination)
	a.outputFlag(cmd)
	return cmd
}

func (a *app) migrate(cmd *cobra.Command, names []string, flags schemaFlags) error {
	c, err := a.schemaCommand(cmd, names, flags)
	if err != nil {
		return err
	}
	defer c.cancel()
	outcomes, err := daemon.Migrate(c.ctx, c.cfg, c.opts)
	return a.report(c, outcomes, doneTable, err)
}
