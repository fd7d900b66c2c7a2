package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Options say what to build.
type Options struct {
	With    []Module      // to be compiled in. At least one
	Replace []Replacement // modules that are taken from somewhere else, bbmd's own as well

	// Version of bbmd, as the go command understands it. Empty: the latest. It does
	// not count where bbmd is replaced.
	Version string

	// Output is the file that becomes the program.
	Output string

	// Flags of go build, such as -trimpath.
	Flags []string

	// Environ is the environment of the go command. Nil: that of the process.
	Environ []string

	// Log takes what the go command says. Nil: nobody.
	Log io.Writer

	// Known are the Works that a bbmd has without further modules.
	Known []string
}

// BBMD is the path of bbmd's own module.
const BBMD = "github.com/bbmd-dev/bbmd"

// custom is the module that is built. Its path lies below bbmd's, which opens
// bbmd's internal packages to it.
const custom = BBMD + "/custom"

// leastGo is what bbmd's own go.mod asks for.
const leastGo = "1.26.0"

// ErrNoGo says that there is no Go toolchain to build with.
var ErrNoGo = errors.New("no go command in PATH: install Go from https://go.dev/dl, or build where it is, as in a container of the image golang")

// builder is one build.
type builder struct {
	Options

	program string // the go command
	dir     string // of the module that is built
}

// Build makes a program of bbmd and the modules, and returns the new Works of each
// by the path that was asked for. Where the program is for another system it is not
// asked, and none are returned.
func Build(ctx context.Context, o Options) (works map[string][]string, err error) {
	b := builder{Options: o}
	if b.Log == nil {
		b.Log = io.Discard
	}
	if b.Environ == nil {
		b.Environ = os.Environ()
	}
	if b.program, err = exec.LookPath("go"); err != nil {
		return nil, ErrNoGo
	}
	if b.dir, err = os.MkdirTemp("", "bbmd-build-"); err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	for _, step := range []func(context.Context) error{b.writeModule, b.fetch, b.copyCommand} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return b.compile(ctx)
}

// compile builds the program beside its place, and puts it there once it is known to be good.
func (b *builder) compile(ctx context.Context) (map[string][]string, error) {
	output, err := filepath.Abs(b.Output)
	if err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	unproven := filepath.Join(filepath.Dir(output), "."+filepath.Base(output)+".new")
	defer func() { _ = os.Remove(unproven) }() // it is gone where all went well
	arguments := append(append([]string{"build", "-mod=mod"}, b.Flags...), "-o", unproven, ".")
	if err := b.run(ctx, arguments...); err != nil {
		return nil, fmt.Errorf("%w: what is wrong is above", err)
	}
	works, err := b.ask(ctx, unproven)
	if err != nil {
		return nil, err
	}
	if err := os.Rename(unproven, output); err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	return works, nil
}

// run runs the go command in the module that is built.
func (b *builder) run(ctx context.Context, arguments ...string) error {
	cmd := b.command(ctx, arguments...)
	cmd.Stdout, cmd.Stderr = b.Log, b.Log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s: %w", arguments[0], orCause(ctx, err))
	}
	return nil
}

// output runs the go command and returns what it prints.
func (b *builder) output(ctx context.Context, arguments ...string) ([]byte, error) {
	cmd := b.command(ctx, arguments...)
	cmd.Stderr = b.Log
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w", arguments[0], orCause(ctx, err))
	}
	return out, nil
}

func (b *builder) command(ctx context.Context, arguments ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.program, arguments...) //nolint:gosec // what to build is the user's
	cmd.Dir = b.dir
	cmd.Env = append(withoutCgo(b.Environ), "GOWORK=off")
	return cmd
}

// withoutCgo makes static programs, unless somebody says otherwise.
func withoutCgo(environ []string) []string {
	for _, variable := range environ {
		if strings.HasPrefix(variable, "CGO_ENABLED=") {
			return environ
		}
	}
	return append(append([]string{}, environ...), "CGO_ENABLED=0")
}

// orCause returns why ctx ended, where that is why a command failed.
func orCause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
