package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/internal/dev"
)

// logLines is how many lines of a log are shown where nobody says.
const logLines = 100

func (d *devCommand) newLogs() *cobra.Command {
	var o dev.LogOptions
	cmd := &cobra.Command{
		Use:     "logs",
		Short:   "Show the log of the daemon, or of the server",
		Long:    "Shows the end of the daemon's log, or with --postgres of the private server's, and with --follow\nwhat comes, until Ctrl-C.",
		Example: "  bbmd dev logs --follow\n  bbmd dev logs --database auth --lines 20\n  bbmd dev logs --postgres",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := d.environment(nil)
			if err != nil {
				return err
			}
			err = e.Logs(cmd.Context(), d.out, o)
			if errors.Is(err, fs.ErrNotExist) {
				return withCode(exitUsage, err)
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&o.Follow, "follow", "f", false, "go on with what comes")
	cmd.Flags().IntVarP(&o.Lines, "lines", "n", logLines, "how `many` lines of the end; -1 for all")
	cmd.Flags().StringVarP(&o.Database, "database", "d", "", "only lines about the database of that `name`")
	cmd.Flags().BoolVar(&o.Postgres, "postgres", false, "the private server's log")
	return cmd
}

// shortPath is how people write a path from where they are.
func shortPath(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	relative, err := filepath.Rel(here, path)
	if err != nil || strings.HasPrefix(relative, "..") {
		return path
	}
	return relative
}
