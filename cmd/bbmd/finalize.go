package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/logging"
	"github.com/bbmd-dev/bbmd/internal/status"
)

func newFinalizeCommand(a *app) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "finalize NAME",
		Short: "Run the rest of one migration here and now, without throttle, until it is over",
		Long: "Runs what is left of one migration in this process, without throttle and without a daemon, shows\n" +
			"how far it is, and returns when it is over: what a deployment does that cannot wait for the\n" +
			"daemon's pace. A migration that has finished already is fine.\n\n" +
			"It works beside daemons, and shares the migration's parallelism with them: where they hold all\n" +
			"of its places for workers it waits for one, and says so. A paused migration is not resumed.\n" +
			"The first SIGINT or SIGTERM lets the batches under way finish and gives the rest back.\n\n" +
			"It exits 0 when the migration has finished, " + strconv.Itoa(exitMigration) + " when it has failed, " + strconv.Itoa(exitRefused) +
			" when it is paused or cancelled\nor this bbmd has not its Work, " + strconv.Itoa(exitTimeout) + " after --timeout.",
		Example:           "  bbmd finalize copy_column_users\n  bbmd finalize copy_column_users --workers 4 --timeout 30m",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeNames,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.finalize(cmd, args[0], timeout) },
	}
	cmd.Flags().AddFlag(a.flags.Lookup("workers"))
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "give up after so `long`; what is done stays done (default never)")
	a.databaseFlag(cmd)
	a.outputFlag(cmd)
	return cmd
}

var errFinalizeTimeout = errors.New("not over in time: what is done stays done, and the rest was given back")

func (a *app) finalize(cmd *cobra.Command, name string, timeout time.Duration) error {
	asJSON, err := a.wantsJSON()
	if err != nil {
		return err
	}
	c, err := a.connectControl(cmd)
	if err != nil {
		return err
	}
	defer c.close(cmd.Context())
	if _, err := c.Store.ScanOne(cmd.Context(), c, name); errors.Is(err, control.ErrNoMigration) {
		return c.noMigration(cmd, name)
	} else if err != nil {
		return err
	}
	ctx := cmd.Context()
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, withCode(exitTimeout, fmt.Errorf("migration %q: %w", name, errFinalizeTimeout)))
		defer cancel()
	}
	screen := a.screen()
	view := status.NewView(cmd.Context(), screen, time.Local)
	if asJSON {
		view = status.NewJSONView(a.out)
	}
	log := a.err
	if screen.Live && !asJSON {
		log = view // between the bars and not across them
	}
	_, err = daemon.Finalize(ctx, c.Config, c.Name, name, daemon.FinalizeOptions{
		View: view, Logger: c.quietLogger(log), Version: buildVersion(), Process: true,
	})
	view.Close()
	switch {
	case cmd.Context().Err() != nil && err != nil:
		return withCode(exitInterrupted, fmt.Errorf("migration %q: interrupted: what is done stays done, and the rest was given back", name))
	case errors.Is(err, daemon.ErrMigrationFailed):
		return withCode(exitMigration, err)
	case errors.Is(err, daemon.ErrNotRunnable):
		return withCode(exitRefused, err)
	default:
		return err
	}
}

// quietLogger returns a logger for a command that shows by itself how it gets
// on: warnings, unless the configuration asks for debugging.
func (c *connection) quietLogger(w io.Writer) *slog.Logger {
	log := c.Config.Log
	if log.Level > slog.LevelDebug {
		log.Level = max(log.Level, slog.LevelWarn)
	}
	logger, _ := logging.New(w, log)
	return logger
}
