package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

func (d *devCommand) newMigrate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate [DATABASE...]",
		Short: "Bring the schemas of the environment's databases up",
		Long: "Runs what is pending in the databases of the environment: in those that are named, or all. It is\n" +
			"`bbmd migrate` with their connection strings.",
		Example:           "  bbmd dev migrate\n  bbmd dev migrate auth",
		ValidArgsFunction: d.completeKnown,
		RunE:              func(cmd *cobra.Command, names []string) error { return d.migrateAll(cmd, names) },
	}
	d.outputFlag(cmd)
	return cmd
}

func (d *devCommand) newReset() *cobra.Command {
	var databases []string
	var flags schemaFlags
	var yes bool
	cmd := &cobra.Command{
		Use:   "reset",
		Short: "Drop everything in databases of the environment, and create them anew",
		Long: "Drops everything in databases of the environment, with all data, and creates them anew, while\n" +
			"the daemon goes on. It is `bbmd reset` with their connection strings: it wants each name typed,\n" +
			"or --yes, and refuses what is marked as production. Where a database is not on the private\n" +
			"server, it needs development_mode. It exits " + strconv.Itoa(exitRefused) + " when one of these says no.",
		Example: "  bbmd dev reset --database auth\n  bbmd dev reset --all --yes",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(databases) == 0 && !flags.all {
				return withCode(exitUsage, errors.New("say which: --database NAME, again and again, or --all"))
			}
			if err := d.enter(cmd); err != nil {
				return err
			}
			return d.reset(cmd, databases, flags, yes)
		},
	}
	cmd.Flags().StringArrayVarP(&databases, "database", "d", nil, "the database of that `name`; can be repeated")
	_ = cmd.RegisterFlagCompletionFunc("database", d.completeKnown)
	cmd.Flags().BoolVarP(&flags.all, "all", "a", false, "all databases of the environment")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	d.outputFlag(cmd)
	return cmd
}

func (d *devCommand) newEnv() *cobra.Command {
	return &cobra.Command{
		Use:   "env",
		Short: "Print the connection strings of the private server, for a shell",
		Long: "Prints a line of shell for each database on the private server. With them in the environment\n" +
			"services find their databases, and so does every command of bbmd. They hold the password.",
		Example: "  eval \"$(bbmd dev env)\"",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			e, err := d.environment(nil)
			if err != nil {
				return err
			}
			exports, err := e.Exports()
			if err != nil {
				return withCode(devCode(err), err)
			}
			for _, export := range exports {
				name, value, _ := strings.Cut(export, "=")
				if err := d.printf("export %s='%s'\n", name, value); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
