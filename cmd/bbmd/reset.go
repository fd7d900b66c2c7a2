package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/config"
)

func newResetCommand(a *app) *cobra.Command {
	var flags schemaFlags
	var yes bool
	cmd := &cobra.Command{
		Use:   "reset [DATABASE...]",
		Short: "Drop everything in databases, with all data, and create them anew (development)",
		Long: "Drops everything in a database but bbmd's own history, and creates it anew from its models or\n" +
			"migrations. Its background migrations are cancelled, and batches that run, on any replica, end\n" +
			"first. Daemons go on with it afterwards.\n\n" +
			"It needs development_mode (DEVELOPMENT_MODE=true), refuses databases that are marked as\n" +
			"production (SELECT bbm.mark_production()), and wants the name of each database typed, or --yes.\n" +
			"It exits " + strconv.Itoa(exitRefused) + " when one of these says no.",
		Example:           "  bbmd reset billing\n  bbmd reset --all --yes",
		ValidArgsFunction: a.completeDatabases,
		RunE:              func(cmd *cobra.Command, names []string) error { return a.reset(cmd, names, flags, yes) },
	}
	flags.register(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	a.outputFlag(cmd)
	return cmd
}

func (a *app) reset(cmd *cobra.Command, names []string, flags schemaFlags, yes bool) error {
	c, err := a.schemaCommand(cmd, names, flags)
	if err != nil {
		return err
	}
	defer c.cancel()
	if !c.cfg.DevelopmentMode {
		return withCode(exitRefused, errors.New("refused: development_mode is off: set it (DEVELOPMENT_MODE=true) where no data matters"))
	}
	if !yes {
		if err := a.confirmReset(c.cfg, c.opts.Databases); err != nil {
			return err
		}
	}
	outcomes, err := daemon.Reset(c.ctx, c.cfg, c.opts)
	return a.report(c, outcomes, doneTable, err)
}

// confirmReset asks for every database by itself.
func (a *app) confirmReset(cfg config.Config, names []string) error {
	if names == nil {
		names = daemon.SchemaDatabases(cfg)
	}
	for _, name := range names {
		if _, known := cfg.Databases[name]; !known {
			continue // which is said in a moment
		}
		question := fmt.Sprintf("everything in database %s (%s) would be dropped", name, where(cfg.Databases[name]))
		if err := a.confirm(question, name); err != nil {
			return err
		}
	}
	return nil
}

// where says where a database is, without a secret.
func where(database config.Database) string {
	switch {
	case database.URLFile != "":
		return "url_file " + database.URLFile
	case database.URL != "":
		return strings.TrimSpace(database.URL.String())
	default:
		return "the libpq variables"
	}
}
