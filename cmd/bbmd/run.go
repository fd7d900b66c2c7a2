package main

import (
	"errors"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/logging"
)

// newRunCommand is the daemon.
func newRunCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon: listen for events and run background migrations",
		Long: "Listens for events on every configured database and runs its background migrations.\n\n" +
			"It keeps running whatever happens to a database; /readyz says what is wrong. SIGTERM and\n" +
			"SIGINT let running batches finish within shutdown_grace and hand their jobs over; a second\n" +
			"one kills the process, which costs repeated work at most. SIGHUP reloads the configuration,\n" +
			"as does a change of its file.\n\n" +
			"Connection strings belong into the configuration file, a url_file or the environment: what\n" +
			"is on the command line can be read by everybody on the machine.",
		Example:     "  DATABASE_URL=postgres://app@db/app bbmd run\n  bbmd run --config /etc/bbmd/bbmd.yaml --workers 4",
		Args:        cobra.NoArgs,
		Annotations: map[string]string{keepsSignals: "yes"},
		RunE:        func(cmd *cobra.Command, _ []string) error { return a.runDaemon(cmd) },
	}
	a.configFlags(cmd)
	return cmd
}

// configFlags adds the flags for configuration keys that not every command has.
func (a *app) configFlags(cmd *cobra.Command) {
	a.flags.VisitAll(func(flag *pflag.Flag) {
		if !isGlobal(flag.Name) {
			cmd.Flags().AddFlag(flag)
		}
	})
}

func (a *app) runDaemon(cmd *cobra.Command) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	logger, level := logging.New(a.err, cfg.Log)
	d, err := daemon.New(cfg,
		daemon.WithLogger(logger), daemon.WithLevel(level), daemon.WithReload(a.sources()),
		daemon.WithVersion(buildVersion()), daemon.AsProcess())
	if err != nil {
		return withCode(exitUsage, err)
	}
	err = d.Listen(cmd.Context())
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return withCode(exitTransient, err)
	case err != nil:
		return withCode(exitUsage, err)
	}
	return d.Run(cmd.Context())
}
