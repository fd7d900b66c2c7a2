package main

import (
	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/control"
)

func newInitControlCommand(a *app) *cobra.Command {
	var printed bool
	cmd := &cobra.Command{
		Use:   "init-control",
		Short: "Create or upgrade the control schema",
		Long: "Creates the schema that holds bbmd's own tables, or upgrades it, in one transaction; it changes\n" +
			"nothing where the schema is up to date. The daemon does the same when it starts: this is for\n" +
			"databases where its role may not, and somebody else has to.\n\n" +
			"--print prints the SQL for a database that has none, and connects to nothing.",
		Example: "  bbmd init-control\n  bbmd init-control --database billing\n  bbmd init-control --print | psql …",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if printed {
				return a.printControl()
			}
			return a.initControl(cmd)
		},
	}
	a.databaseFlag(cmd)
	cmd.Flags().BoolVar(&printed, "print", false, "print the SQL instead of running it")
	return cmd
}

// printControl prints the control schema. The schema's name is all that it needs to know.
func (a *app) printControl() error {
	schema := config.Default().ControlSchema
	if cfg, err := a.load(); err == nil {
		schema = cfg.ControlSchema
	} else if flag := a.flags.Lookup("control-schema"); flag.Changed {
		schema = flag.Value.String()
	}
	script, err := control.Script(schema)
	if err != nil {
		return err
	}
	return a.printf("%s", script)
}

func (a *app) initControl(cmd *cobra.Command) error {
	c, err := a.connect(cmd)
	if err != nil {
		return err
	}
	defer c.close(cmd.Context())
	if err := control.Install(cmd.Context(), c.Conn, c.Config.ControlSchema); err != nil {
		return err
	}
	return a.printf("database %s: the control schema %s is up to date\n", c.Name, c.Store.Schema())
}
