package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := serve(ctx, os.Args[1:])
	stop()
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed) && failed.ExitCode() > 0:
		os.Exit(failed.ExitCode())
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, command []string) (err error) {
	if len(command) == 0 {
		return errors.New("usage: serve COMMAND [ARGUMENT ...]")
	}
	environment := os.Environ()
	if os.Getenv(pgtest.EnvServer) == "" {
		server, err := pgserver.Start(ctx, pgtest.SharedOptions())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, server.Close(context.WithoutCancel(ctx))) }()
		environment = append(environment, pgtest.EnvServer+"="+server.URL("postgres"))
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // the caller's command is what this is for
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = environment, os.Stdin, os.Stdout, os.Stderr
	// It may end its work, and removes what it made, before it is killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	return cmd.Run()
}
