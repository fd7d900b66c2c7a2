package debian

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// Install installs packages, and shows what apt-get prints on progress. Its
// error says why that was not possible.
func Install(ctx context.Context, progress io.Writer, packages ...string) error {
	aptGet, err := exec.LookPath("apt-get")
	if err != nil {
		return errors.New("install the system's packages: not possible here: there is no apt-get")
	}
	// Another installation, such as the one that new machines begin with, is waited for.
	command := []string{"env", "DEBIAN_FRONTEND=noninteractive", aptGet, "-q", "-o", "DPkg::Lock::Timeout=600"}
	if os.Geteuid() != 0 {
		if err := exec.CommandContext(ctx, "sudo", "-n", "true").Run(); err != nil {
			return errors.New("install the system's packages: not possible here: neither root nor a sudo that asks for no password")
		}
		command = append([]string{"sudo", "-n"}, command...)
	}
	fmt.Fprintln(progress, "installing by apt-get:", strings.Join(packages, " "))
	// A source that does not answer need not be the one that has the packages.
	stale := run(ctx, progress, command, "update")
	if err := run(ctx, progress, command, append([]string{"install", "-y", "--no-install-recommends"}, packages...)...); err != nil {
		return fmt.Errorf("install the system's packages: %w", errors.Join(stale, err))
	}
	return nil
}

// run runs a command, from a directory that every user may be in.
func run(ctx context.Context, progress io.Writer, command []string, arguments ...string) error {
	cmd := exec.CommandContext(ctx, command[0], append(command[1:len(command):len(command)], arguments...)...) //nolint:gosec // Install's own
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = progress, progress
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", cmd, err)
	}
	return nil
}
