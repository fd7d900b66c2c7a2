package need

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// Tool is a program that tests run.
type Tool struct {
	// Name is what it is called on the PATH.
	Name string
	// Packages are those of Debian that bring it, with what it needs here.
	Packages []string
	// For says what is not tested without it.
	For string
	// works fails where the program at path is none that will do.
	works func(ctx context.Context, path string) error
}

// Tools lists every program that [Program] gives.
func Tools() []Tool {
	return []Tool{
		{"alembic", []string{"alembic", "python3-psycopg2"}, "Alembic: bringing up the databases of Python services", alembicWorks},
		{"node", []string{"nodejs"}, "Node.js: plugins in JavaScript", runs("-e", `require("node:fs")?.existsSync`)},
		{"psql", []string{"postgresql-client"}, "psql: the scripts that are shipped, and the commands of the pages", runs("--version")},
		{"python3", []string{"python3"}, "Python 3.9: plugins in Python", runs("-c", `"".removeprefix("")`)},
		{"shellcheck", []string{"shellcheck"}, "shellcheck: the scripts that are shipped", runs("--version")},
		{"systemd-analyze", []string{"systemd"}, "systemd-analyze: the units that are shipped", runs("--version")},
	}
}

// Chromium is what `make browser-test` runs. It is no part of [Tools], which everybody who
// tests gets: it is heavy.
func Chromium() Tool {
	return Tool{"chromium", []string{"chromium"}, "the dashboard in a browser", runs("--version")}
}

func known(name string) (Tool, bool) {
	tools := Tools()
	i := slices.IndexFunc(tools, func(t Tool) bool { return t.Name == name })
	if i < 0 {
		return Tool{}, false
	}
	return tools[i], true
}

// runs is for a tool that works where it accepts these arguments.
func runs(arguments ...string) func(context.Context, string) error {
	return func(ctx context.Context, path string) error {
		return run(exec.CommandContext(ctx, path, arguments...)) //nolint:gosec // the list's own
	}
}

// alembicWorks runs an environment, by whatever Python Alembic is installed
// for, that imports what those of the tests do.
func alembicWorks(ctx context.Context, path string) (err error) {
	dir, err := os.MkdirTemp("", "need-alembic-")
	if err != nil {
		return fmt.Errorf("make temporary directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for name, content := range map[string]string{
		"alembic.ini": "[alembic]\nscript_location = %(here)s\n",
		"env.py":      "import psycopg2\nimport sqlalchemy\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return fmt.Errorf("write environment: %w", err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "versions"), 0o700); err != nil {
		return fmt.Errorf("write environment: %w", err)
	}
	cmd := exec.CommandContext(ctx, path, "current")
	cmd.Dir = dir
	return run(cmd)
}

// run runs a command, and fails with the last line that it printed.
func run(cmd *exec.Cmd) error {
	output, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	lines := bytes.Split(bytes.TrimSpace(output), []byte("\n"))
	return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, lines[len(lines)-1])
}
