package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/bbmd-dev/bbmd/daemon"
	_ "github.com/bbmd-dev/bbmd/migrations" // execute_sql, backfill_column, …

	_ "example.com/works"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	cfg, err := daemon.LoadConfig(daemon.Sources{})
	if err != nil {
		return err
	}
	d, err := daemon.New(cfg, daemon.AsProcess(), daemon.WithLogger(slog.New(slog.NewJSONHandler(os.Stderr, nil))))
	if err != nil {
		return err
	}
	return d.Run(context.Background())
}
