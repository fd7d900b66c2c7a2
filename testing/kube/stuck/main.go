package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/bbmd-dev/bbmd/daemon"
	_ "github.com/bbmd-dev/bbmd/migrations"
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
	d, err := daemon.New(cfg, daemon.WithLogger(slog.New(blocking{slog.NewJSONHandler(os.Stderr, nil)})), daemon.AsProcess())
	if err != nil {
		return err
	}
	return d.Run(context.Background())
}

// blocking writes to the log, and never returns from the event loop's message that a migration has finished.
type blocking struct{ slog.Handler }

func (b blocking) Handle(ctx context.Context, record slog.Record) error {
	err := b.Handler.Handle(ctx, record)
	if record.Message == "migration finished" {
		select {}
	}
	return err
}

func (b blocking) WithAttrs(attrs []slog.Attr) slog.Handler {
	return blocking{b.Handler.WithAttrs(attrs)}
}
func (b blocking) WithGroup(name string) slog.Handler { return blocking{b.Handler.WithGroup(name)} }
