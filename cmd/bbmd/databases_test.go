package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/need"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// TestDatabasesPage runs every command of docs/databases.md, in a directory and with
// databases of its own, and compares what they print with what the page shows.
func TestDatabasesPage(t *testing.T) {
	t.Parallel()
	need.Program(t, "psql")
	page, err := os.ReadFile("../../docs/databases.md")
	require.NoError(t, err)
	shell := newShell(t)
	prints(t, string(page), shell.run, steady)
}

// prints runs the commands of a page and compares what they print with what the page shows, both
// without what is different every time.
func prints(t *testing.T, page string, run, same func(string) string) {
	t.Helper()
	pieces := regexp.MustCompile("(?s)```(sh|text)\n(.*?)```").FindAllStringSubmatch(page, -1)
	require.NotEmpty(t, pieces)
	var printed string
	for _, piece := range pieces {
		if piece[1] == "sh" {
			require.Empty(t, printed, "the page does not show what this prints")
			printed = run(piece[2])
			continue
		}
		require.Empty(t, cmp.Diff(same(piece[2]), same(printed)), "the page (-) and the command (+)")
		printed = ""
	}
	require.Empty(t, printed, "the page does not show what this prints")
}

// steady returns what is the same every time: without durations, times, hosts, and
// the space that they take in a table.
func steady(text string) string {
	for pattern, with := range map[string]string{
		`\b[0-9.]+(ms|s)\b`:                   "TIME",
		`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +\S+`: "THEN THERE",
		`(?m) +$`:                             "",
	} {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, with)
	}
	return regexp.MustCompile(` {2,}`).ReplaceAllString(text, "  ")
}

// shell runs pieces of a page one after the other, and keeps what they export.
type shell struct {
	t    *testing.T
	dir  string
	urls map[string]string // connection strings, by what the page has for them
}

func newShell(t *testing.T) *shell {
	t.Helper()
	server := pgtest.NewEmpty(t)
	s := &shell{t: t, dir: t.TempDir(), urls: map[string]string{}}
	for _, name := range []string{"shop", "stock"} {
		s.urls["postgres://localhost/"+name] = server.Absent(t, "_"+name).URL
	}
	server.Exec(t, "CREATE DATABASE "+server.Name+"_stock")
	self, err := os.Executable()
	require.NoError(t, err)
	wrapper := "#!/bin/sh\n" + asProgram + " BBMD_LOG__LEVEL=error exec '" + self + "' \"$@\"\n"
	require.NoError(t, os.Mkdir(filepath.Join(s.dir, "bin"), 0o700))
	need.Executable(t, filepath.Join(s.dir, "bin", "bbmd"), []byte(wrapper))
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "exports"), nil, 0o600))
	return s
}

// run runs a piece, and returns what it printed.
func (s *shell) run(piece string) string {
	s.t.Helper()
	for shown, real := range s.urls {
		piece = strings.ReplaceAll(piece, shown, "'"+real+"'")
	}
	script := "set -e\n. ./exports\n" + piece + "\nexport -p > exports\n"
	cmd := exec.CommandContext(s.t.Context(), "sh", "-c", script)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + filepath.Join(s.dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + s.dir}
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	require.NoError(s.t, cmd.Run(), "%s\n%s", piece, errOut.String())
	return out.String()
}
