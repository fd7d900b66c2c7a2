package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/bbmd-dev/bbmd/internal/config"
	_ "github.com/bbmd-dev/bbmd/migrations" // the Works that ship with bbmd
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run runs the command that args say, and returns the exit code.
func run(args []string, out, errOut io.Writer) int {
	a := newApp(out, errOut)
	root := newRoot(a)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(context.Background())
	if err == nil {
		return exitOK
	}
	for line := range strings.Lines(config.Redact(err.Error() + wayOut(err))) {
		_, _ = fmt.Fprintln(errOut, "bbmd: "+strings.TrimSpace(line)) // there is nobody else to tell
	}
	if a.started {
		return exitCode(err)
	}
	_, _ = fmt.Fprintf(errOut, "Run `%s --help` for usage.\n", cmd.CommandPath())
	return exitUsage
}
