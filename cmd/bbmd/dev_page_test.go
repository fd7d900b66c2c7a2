package main_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/need"
)

// devPage runs every command of docs/development.md, and compares what they print with what the
// page shows.
func devPage(t *testing.T, program string) {
	t.Helper()
	need.Program(t, "psql")
	page, err := os.ReadFile(filepath.Join(repository, "docs/development.md"))
	require.NoError(t, err)
	s := &shell{t: t, dir: openDir(t)}
	require.NoError(t, os.Mkdir(filepath.Join(s.dir, "bin"), 0o755))
	require.NoError(t, os.Symlink(program, filepath.Join(s.dir, "bin", "bbmd")))
	var exports []string
	for _, name := range []string{pgserver.EnvBin, "PGBIN"} {
		if value := os.Getenv(name); value != "" {
			exports = append(exports, "export "+name+"='"+value+"'")
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "exports"), []byte(strings.Join(exports, "\n")+"\n"), 0o600))
	t.Cleanup(func() {
		clean := exec.CommandContext(context.WithoutCancel(t.Context()), program, "dev", "clean", "--yes", "--state", filepath.Join(s.dir, ".bbmd", "dev"))
		output, err := clean.CombinedOutput()
		require.NoError(t, err, string(output))
	})

	prints(t, string(page), s.run, anyProcess)
	require.NoDirExists(t, filepath.Join(s.dir, ".bbmd"))
}

// anyProcess returns what is the same every time: without processes, ports and versions.
func anyProcess(text string) string {
	for pattern, with := range map[string]string{
		`\S+ on 127\.0\.0\.1:\d+, process \d+`: "VERSION on PORT, process PID",
		`process \d+, started \d\d:\d\d:\d\d`:  "process PID, started THEN",
		`http://127\.0\.0\.1:\d+`:              "http://HERE",
	} {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, with)
	}
	return steady(text)
}

// devScripts runs the scripts with the flags that they had before there was bbmd.
func devScripts(t *testing.T, program string) {
	t.Helper()
	d := newDeveloper(t, program)
	d.write("bbmd.yaml", "discover: services\nprofiles: {minimal: [auth], full: [auth, stock]}\n")
	d.migration("auth", 1, "CREATE TABLE users (id bigint PRIMARY KEY);")
	d.migration("stock", 1, "CREATE TABLE goods (id bigint PRIMARY KEY);")
	script := func(name string, args ...string) result {
		t.Helper()
		path, err := filepath.Abs(filepath.Join(repository, "scripts", name))
		require.NoError(t, err)
		shell := *d
		shell.program = path
		return shell.run(args...)
	}
	workflow := func(args ...string) result { t.Helper(); return script("dev-workflow.sh", args...) }
	reset := func(args ...string) result { t.Helper(); return script("dev-reset-database.sh", args...) }
	fine := func(want string, r result) {
		t.Helper()
		require.Zero(t, r.code, r.err)
		require.Regexp(t, `(?sm)`+want, r.out)
	}

	fine(`^auth +EMPTY +migrated`, workflow("start", "--profile", "minimal"))
	require.Len(t, d.status().Databases, 1)
	fine(`^auth +VERSIONED.*^stock +EMPTY`, workflow("restart", "-p", "full"))
	fine(`^stock +private +VERSIONED`, workflow("status"))
	d.migration("auth", 2, "CREATE TABLE logins (id bigint);")
	fine(`^auth +VERSIONED +migrated +1 +2`, workflow("migrate", "--service", "auth", "-n", "bakery-ia"))
	fine(`^auth +VERSIONED +up to date.*^stock +VERSIONED +up to date`, workflow("migrate", "--all"))
	fine(`database=auth`, workflow("logs", "-s", "auth"))
	require.Empty(t, d.ask("auth", "INSERT INTO users VALUES (1) RETURNING ''"))
	require.Equal(t, 73, reset("--service", "auth").code, "nobody can be asked")
	require.Equal(t, "1", d.ask("auth", "SELECT count(*)::text FROM users"))
	fine(`^auth +VERSIONED +recreated`, reset("--service=auth", "--yes", "--namespace", "bakery-ia"))
	require.Equal(t, "0", d.ask("auth", "SELECT count(*)::text FROM users"))
	fine(`^auth +VERSIONED +recreated.*^stock +VERSIONED +recreated`, reset("-a", "-y"))
	fine(`^auth +VERSIONED +recreated.*^stock +VERSIONED +recreated`, workflow("reset", "-s", "auth", "-s", "stock", "-y"))
	fine(`stopped`, workflow("stop"))
	fine(`removed`, workflow("clean", "--yes"))

	for _, args := range [][]string{{}, {"--nonsense"}, {"--service"}, {"--yes"}} {
		require.Equal(t, 2, reset(args...).code, args)
	}
	for _, args := range [][]string{{}, {"nonsense"}, {"start", "--nonsense"}, {"status", "--profile", "x"}, {"logs", "-s", "a", "-s", "b"}} {
		require.Equal(t, 2, workflow(args...).code, args)
	}
	fine("^Usage:", reset("--help"))
	fine("^Usage:", workflow("help"))
}

// TestScripts has the scripts that are shipped looked through.
func TestScripts(t *testing.T) {
	t.Parallel()
	shellcheck := need.Program(t, "shellcheck")
	scripts, err := filepath.Glob(filepath.Join(repository, "scripts", "*.sh"))
	require.NoError(t, err)
	require.Len(t, scripts, 2)
	output, err := exec.CommandContext(t.Context(), shellcheck, scripts...).CombinedOutput()
	require.NoError(t, err, string(output))
	for _, script := range scripts {
		info, err := os.Stat(script)
		require.NoError(t, err)
		require.NotZero(t, info.Mode().Perm()&0o111, "%s is not a program", strings.TrimPrefix(script, repository))
	}
}
