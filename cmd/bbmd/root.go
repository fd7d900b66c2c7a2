package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bbmd-dev/bbmd/internal/config"
)

// app is what all subcommands share.
type app struct {
	in       io.Reader
	out, err io.Writer
	environ  []string       // nil: the process's own
	search   []string       // where to look for a configuration file; nil: the usual places
	flags    *pflag.FlagSet // every flag that is a configuration key
	database string         // --database
	output   string         // --output
	started  bool           // the arguments were fine: what goes wrong now is not their fault
}

// newApp returns an app that writes to out and err.
func newApp(out, err io.Writer) *app {
	flags := pflag.NewFlagSet("configuration", pflag.ContinueOnError)
	config.RegisterFlags(flags)
	return &app{in: os.Stdin, out: out, err: err, flags: flags}
}

// newRoot returns the command `bbmd` with all its subcommands.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "bbmd",
		Short: "Looks after the schema and the data of PostgreSQL databases",
		Long: "bbmd brings databases up, whatever state they are in, and runs batched background migrations:\n" +
			"data changes over millions of rows, batch by batch, exactly once, beside the traffic. `bbmd\n" +
			"run` is the daemon; every other command talks to the database, and works with or without one.",
		Version:       buildVersion(),
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,

		SuggestionsMinimumDistance: 2,
	}
	root.SetOut(a.out)
	root.SetErr(a.err)
	a.flags.VisitAll(func(flag *pflag.Flag) {
		if isGlobal(flag.Name) {
			root.PersistentFlags().AddFlag(flag)
		}
	})
	root.AddCommand(
		newRunCommand(a),
		newDemoCommand(a),
		newDevCommand(a),
		newMigrateCommand(a),
		newPlanCommand(a),
		newVerifyCommand(a),
		newWaitCommand(a),
		newBaselineCommand(a),
		newStampCommand(a),
		newResetCommand(a),
		newEnqueueCommand(a),
		newStatusCommand(a),
		newPauseCommand(a),
		newResumeCommand(a),
		newCancelCommand(a),
		newRetryCommand(a),
		newFinalizeCommand(a),
		newDryRunCommand(a),
		newProbeCommand(a),
		newVersionCommand(a),
		newConfigCommand(a),
		newDoctorCommand(a),
		newInitControlCommand(a),
		newWorksCommand(a),
		newPluginsCommand(a),
		newBuildCommand(a),
		newManCommand(a),
	)
	a.adopt(root)
	return root
}

// knownCommand refuses what is no command, with those that are like it.
func knownCommand(cmd *cobra.Command, args []string) error {
	err := cobra.NoArgs(cmd, args)
	if err == nil {
		return nil
	}
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		return fmt.Errorf("%w, did you mean %s?", err, strings.Join(like, " or "))
	}
	return err
}

// isGlobal reports whether a configuration flag concerns every command, and not
// only those that are or show the daemon.
func isGlobal(flag string) bool {
	return slices.Contains([]string{"config", "profile", "control-schema", "log-level", "log-format"}, flag)
}

// keepsSignals is the annotation of a command that handles signals itself.
const keepsSignals = "bbmd_keeps_signals"

// adopt makes every command note that its arguments were fine, and end its
// context on the first SIGINT or SIGTERM. The second one kills.
func (a *app) adopt(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		a.adopt(sub)
	}
	work := cmd.RunE
	if work == nil {
		return
	}
	if count := cmd.Args; count != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := count(cmd, args)
			if err != nil && strings.HasPrefix(err.Error(), "accepts ") { // a number, and not of what
				return fmt.Errorf("%w: %s", err, cmd.UseLine())
			}
			return err
		}
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.started = true
		if cmd.Annotations[keepsSignals] == "" {
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			cmd.SetContext(ctx)
		}
		return work(cmd, args)
	}
}

// load reads the configuration from its file, the environment and the flags.
func (a *app) load() (config.Config, error) {
	cfg, err := config.Load(a.sources())
	return cfg, withCode(exitUsage, err)
}

func (a *app) sources() config.Sources {
	return config.Sources{Search: a.search, Environ: a.environ, Flags: a.flags}
}
