package main

import "github.com/spf13/cobra"

func newConfigCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the effective configuration, secrets masked, and where each value came from",
		Long: "Prints what `bbmd run` would use with the same file, environment and flags. The output is a\n" +
			"configuration file, each value with a comment that says where it came from; passwords are\n" +
			"masked. It fails, and says everything that is wrong, where the daemon would not start.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			asJSON, err := a.wantsJSON()
			if err != nil {
				return err
			}
			cfg, err := a.load()
			switch {
			case err != nil:
				return err
			case asJSON:
				return a.printJSON(cfg.Settings())
			default:
				return cfg.WriteYAML(a.out)
			}
		},
	}
	a.configFlags(cmd)
	a.outputFlag(cmd)
	return cmd
}
