package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := matrix(ctx, os.Stdout, os.Args[1:], onServer)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// runner runs a command that prints the events of go test on a version, and gives them to events. It returns
// the version in full.
type runner func(ctx context.Context, major int, command []string, events func(io.Reader) error) (version string, err error)

// matrix runs the command on each version and tells about it on out.
func matrix(ctx context.Context, out io.Writer, arguments []string, run runner) error {
	versions, command, err := parse(arguments)
	if err != nil {
		return err
	}
	var lines []string
	failed := false
	for _, major := range versions {
		found := newOutcome(out)
		fmt.Fprintf(out, "== PostgreSQL %d\n", major)
		version, err := run(ctx, major, command, found.read)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			fmt.Fprintln(out, err)
		}
		line, ok := found.line(version, err)
		failed = failed || !ok
		lines = append(lines, line)
		fmt.Fprintln(out, line)
		for _, left := range found.notRun() {
			fmt.Fprintln(out, "  not run:", left)
		}
	}
	fmt.Fprintln(out, "== all versions")
	for _, line := range lines {
		fmt.Fprintln(out, line)
	}
	if failed {
		return errors.New("not every version passed")
	}
	return nil
}

// parse reads "13 18 -- go test ./...", and makes the command print events.
func parse(arguments []string) (versions []int, command []string, err error) {
	at := slices.Index(arguments, "--")
	if at < 1 || len(arguments) < at+3 || arguments[at+2] != "test" {
		return nil, nil, errors.New("usage: matrix VERSION [VERSION ...] -- go test [ARGUMENT ...]")
	}
	for _, argument := range arguments[:at] {
		major, err := strconv.Atoi(argument)
		if err != nil {
			return nil, nil, fmt.Errorf("%q is not a major version of PostgreSQL, such as 13", argument)
		}
		versions = append(versions, major)
	}
	return versions, slices.Insert(slices.Clone(arguments[at+1:]), 2, "-json"), nil
}
