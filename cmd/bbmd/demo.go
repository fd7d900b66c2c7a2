package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/internal/demo"
)

const defaultScale = 10

func newDemoCommand(a *app) *cobra.Command {
	var scale int
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch a backfill survive a pause and a kill -9, on a private PostgreSQL",
		Long: "Starts a private PostgreSQL with pgbench's tables and a daemon, enqueues a migration by plain\n" +
			"SQL, pauses and resumes it, kills the daemon with kill -9 and starts another one, and then\n" +
			"checks that every row was changed exactly once. It leaves nothing behind.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if scale < 1 || scale > 1000 {
				return withCode(exitUsage, fmt.Errorf("--scale %d: it is 1 to 1000, %d is a good one", scale, defaultScale))
			}
			program, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			err = demo.Run(cmd.Context(), demo.Options{
				Screen: a.screen(), Program: program, Command: os.Args[0], Scale: scale, Keep: keep,
			})
			if errors.Is(err, context.Canceled) && cmd.Context().Err() != nil {
				return withCode(exitInterrupted, errors.New("the demo was interrupted: nothing of it is left"))
			}
			return err
		},
	}
	cmd.Flags().IntVar(&scale, "scale", defaultScale, "`size` of the table, in 100,000 rows")
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the server and the daemon running afterwards, until Ctrl-C")
	return cmd
}
