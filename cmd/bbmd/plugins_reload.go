package main

import (
	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/config"
)

func newPluginsReloadCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Ask the running daemons to load their plugins again",
		Long: "Raises an event on every database of the configuration, or on the one that --database says. Daemons\n" +
			"that listen there read their directory of plugins again, and start programs again that have\n" +
			"crashed. Changes of files they notice by themselves. SIGHUP asks a single daemon for the same.",
		Example: "  bbmd plugins reload",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.reloadPlugins(cmd) },
	}
	a.databaseFlag(cmd)
	return cmd
}

func (a *app) reloadPlugins(cmd *cobra.Command) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	names := cfg.Names()
	if a.database != "" {
		name, err := a.pick(cfg)
		if err != nil {
			return err
		}
		names = []string{name}
	}
	for _, name := range names {
		if err := a.askForPlugins(cmd, cfg, name); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) askForPlugins(cmd *cobra.Command, cfg config.Config, name string) error {
	c, err := a.connectTo(cmd, cfg, name)
	if err != nil {
		return err
	}
	defer c.close(cmd.Context())
	listening, err := daemon.ReloadPlugins(cmd.Context(), c.Conn)
	switch {
	case err != nil:
		return err
	case listening == 0:
		return a.printf("%s: no daemon listens; one that starts reads its plugins then\n", name)
	default:
		return a.printf("%s: asked %d that listen; what becomes of it is in their logs\n", name, listening)
	}
}
