package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/bbmd-dev/bbmd/testing/need"
)

// provide looks for the tools, has what is missing installed, and says what
// there is then. It fails where something is missing and that must not be.
func provide(ctx context.Context, out io.Writer, tools []need.Tool, install func(context.Context, io.Writer, ...string) error) error {
	missing := look(ctx, tools)
	var refused error
	if len(missing) > 0 {
		refused = install(ctx, out, packages(missing)...)
		missing = look(ctx, tools)
	}
	if len(missing) == 0 {
		fmt.Fprintln(out, "programs of the tests:", strings.Join(names(tools), " "))
		return nil
	}
	report(out, missing, refused)
	if need.InCI() {
		return errors.New("these programs are missing, and CI is set, so nothing may be left out")
	}
	return nil
}

// lack is a tool that is missing, and why.
type lack struct {
	need.Tool

	why error
}

func look(ctx context.Context, tools []need.Tool) (missing []lack) {
	for _, tool := range tools {
		if _, err := need.Find(ctx, tool); err != nil {
			missing = append(missing, lack{tool, err})
		}
	}
	return missing
}

func report(out io.Writer, missing []lack, refused error) {
	for _, m := range missing {
		fmt.Fprintf(out, "MISSING: %v\n  without it this is not tested: %s\n", m.why, m.For)
	}
	if refused != nil {
		fmt.Fprintln(out, refused)
	}
	fmt.Fprintln(out, "as root, on Debian: apt-get install", strings.Join(packages(missing), " "))
}

// packages are what brings the tools, each of them once.
func packages(missing []lack) (all []string) {
	for _, m := range missing {
		all = append(all, m.Packages...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func names(tools []need.Tool) (all []string) {
	for _, tool := range tools {
		all = append(all, tool.Name)
	}
	return all
}
