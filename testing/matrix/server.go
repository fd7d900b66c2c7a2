package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// onServer runs a command beside a server of a major version.
func onServer(ctx context.Context, major int, command []string, events func(io.Reader) error) (version string, err error) {
	version = strconv.Itoa(major)
	binaries, err := provide(ctx, command[0], major)
	if err != nil {
		return version, err
	}
	options := pgtest.SharedOptions()
	options.Binaries = binaries
	server, err := pgserver.Start(ctx, options)
	if err != nil {
		return binaries.Version, err
	}
	defer func() { err = errors.Join(err, server.Close(context.WithoutCancel(ctx))) }()
	environment := append(os.Environ(), pgserver.EnvBin+"="+binaries.Dir, pgtest.EnvServer+"="+server.URL("postgres"))
	return binaries.Version, stream(ctx, command, environment, events)
}

// provide returns the binaries of a major version: they are found, or fetched now.
func provide(ctx context.Context, program string, major int) (pgserver.Binaries, error) {
	if err := os.Setenv(pgserver.EnvBin, strconv.Itoa(major)); err != nil {
		return pgserver.Binaries{}, fmt.Errorf("ask for version %d: %w", major, err)
	}
	cmd := exec.CommandContext(ctx, program, "run", "./internal/pgserver/provide") //nolint:gosec // the caller's own go
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return pgserver.Binaries{}, fmt.Errorf("get a server of version %d: %w", major, err)
	}
	return pgserver.Find(ctx)
}

// stream runs a command and gives what it prints to a reader.
func stream(ctx context.Context, command, environment []string, events func(io.Reader) error) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // the caller's command is what this is for
	cmd.Env, cmd.Stderr = environment, os.Stderr
	// It may end its work, and removes what it made, before it is killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	printed, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("run tests: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run tests: %w", err)
	}
	read := events(printed)
	if err := errors.Join(read, cmd.Wait()); err != nil {
		return fmt.Errorf("run tests: %w", err)
	}
	return nil
}
