package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/bbmd-dev/bbmd/internal/debian"
	"github.com/bbmd-dev/bbmd/testing/need"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	tools := need.Tools()
	if slices.Contains(os.Args[1:], need.Chromium().Name) {
		tools = []need.Tool{need.Chromium()}
	}
	err := provide(ctx, os.Stderr, tools, debian.Install)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
