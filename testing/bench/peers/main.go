package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var errUsage = errors.New("say which peer: river, gitlab or golang-migrate")

func run(ctx context.Context, arguments []string, in io.Reader, out io.Writer) error {
	if len(arguments) == 0 {
		return errUsage
	}
	var open func(context.Context, []string) (peer, error)
	switch arguments[0] {
	case "river":
		open = openRiver
	case "gitlab":
		open = openGitLab
	case "golang-migrate":
		open = openMigrate
	default:
		return fmt.Errorf("there is no peer %q: %w", arguments[0], errUsage)
	}
	p, err := open(ctx, arguments[1:])
	if err != nil {
		return fmt.Errorf("%s: %w", arguments[0], err)
	}
	return errors.Join(serve(ctx, p, in, json.NewEncoder(out)), p.close(ctx))
}

// peer is one of those that bbmd is measured beside.
type peer interface {
	// describe says what it is and how it is set up.
	describe() answer
	// do does what a request says, and times it.
	do(ctx context.Context, q request) (answer, error)
	// close ends what open started.
	close(ctx context.Context) error
}

// request is a line of standard input. Its fields mean nothing where the peer does not say otherwise.
type request struct {
	Do string `json:"do"`

	URL string `json:"url,omitempty"` // golang-migrate: the database
	Dir string `json:"dir,omitempty"` // golang-migrate: its files

	// gitlab: how long it has been at rest when something happens, and within how much more
	// time it happens, at a random moment.
	Rest   time.Duration `json:"rest,omitempty"`
	Within time.Duration `json:"within,omitempty"`
	Table  string        `json:"table,omitempty"` // with its schema
	First  int64         `json:"first,omitempty"` // key
	Last   int64         `json:"last,omitempty"`  // key
	Size   int           `json:"size,omitempty"`  // rows in a batch
}

// answer is a line of standard output.
type answer struct {
	Name     string `json:"name,omitempty"`     // in the first line: with its version
	Settings string `json:"settings,omitempty"` // in the first line

	Took  time.Duration `json:"took,omitempty"`
	CPU   time.Duration `json:"cpu,omitempty"`  // of this process so far
	Runs  int           `json:"runs,omitempty"` // gitlab: looks for work
	Jobs  int           `json:"jobs,omitempty"` // gitlab: batches done
	Error string        `json:"error,omitempty"`
}

func serve(ctx context.Context, p peer, in io.Reader, out *json.Encoder) error {
	if err := out.Encode(p.describe()); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var q request
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			return fmt.Errorf("read a request: %w", err)
		}
		a, err := p.do(ctx, q)
		if err != nil {
			a.Error = err.Error()
		}
		a.CPU = ownCPU()
		if err := out.Encode(a); err != nil {
			return err
		}
	}
	return lines.Err()
}

// ownCPU returns the CPU time of this process.
func ownCPU() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// version returns the version of a module in this program.
func version(module string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == module {
				return m.Version
			}
		}
	}
	return "(unknown version)"
}
