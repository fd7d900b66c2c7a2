package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/need"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// walkthrough is a page that takes a newcomer from nothing to a finished backfill.
type walkthrough struct {
	t        *testing.T
	db       *pgtest.Database
	dir      string
	env      []string
	commands int // of bbmd that were run
	printed  strings.Builder
}

// walk does what a page says: it writes the files that it shows below their names, and
// runs its commands. further is put behind the arguments of `bbmd build`.
func walk(t *testing.T, page string, env []string, further ...string) *walkthrough {
	t.Helper()
	need.Program(t, "psql")
	text, err := os.ReadFile("../../docs/" + page)
	require.NoError(t, err)
	w := &walkthrough{t: t, db: pgtest.NewEmpty(t), dir: t.TempDir()}
	self, err := os.Executable()
	require.NoError(t, err)
	wrapper := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = build ]; then set -- \"$@\" %s; fi\n%s BBMD_LOG__LEVEL=error exec '%s' \"$@\"\n", strings.Join(further, " "), asProgram, self)
	w.write("bin/bbmd", wrapper)
	w.write("exports", "")
	w.env = append(append(append([]string{}, env...), databaseURL(w.db)...), "PATH="+filepath.Join(w.dir, "bin")+":"+os.Getenv("PATH"))
	pieces := regexp.MustCompile("(?s)(?:(?:^|\n)`([\\w./]+)`[^\n]*:\n\n)?```(\\w+)\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	for _, piece := range pieces {
		switch path, kind := piece[1], piece[2]; {
		case path != "":
			w.write(path, piece[3])
		case kind == "sh":
			w.run(piece[3])
		}
	}
	return w
}

func (w *walkthrough) write(path, content string) {
	w.t.Helper()
	path = filepath.Join(w.dir, path)
	require.NoError(w.t, os.MkdirAll(filepath.Dir(path), 0o755))
	mode := os.FileMode(0o600)
	if strings.HasPrefix(content, "#!") {
		mode = 0o700
	}
	require.NoError(w.t, os.WriteFile(path, []byte(content), mode))
}

// run runs a piece in the first directory, and keeps what it exports.
func (w *walkthrough) run(piece string) {
	w.t.Helper()
	w.commands += len(regexp.MustCompile(`(?m)(^|&& |\./)bbmd(-own)? `).FindAllString(piece, -1))
	script := "set -e\numask 022\n. ./exports\nHERE=$PWD\n" + piece + "\ncd \"$HERE\"\nexport -p > exports\n"
	cmd := exec.CommandContext(w.t.Context(), "sh", "-c", script)
	cmd.Dir, cmd.Env = w.dir, w.env
	output, err := cmd.CombinedOutput()
	require.NoError(w.t, err, "%s\n%s", piece, output)
	w.printed.Write(output)
}

func TestPageOfSQLFiles(t *testing.T) {
	t.Parallel()
	w := walk(t, "plugins-sql.md", os.Environ())
	require.Equal(t, 10, w.commands)
	content, err := os.ReadFile(filepath.Join(w.dir, "plugins.d", "normalize_email.sql"))
	require.NoError(t, err)
	require.Equal(t, exampleFile(t), string(content), "the page shows the example")
	require.Zero(t, pgtest.One[int](t, w.db, "SELECT count(*) FROM users WHERE email_norm IS DISTINCT FROM lower(email)"))
}

func TestPageOfPrograms(t *testing.T) {
	t.Parallel()
	need.Program(t, "python3")
	w := walk(t, "plugins-process.md", tryEnv(t))
	require.Equal(t, 10, w.commands)
	require.Contains(t, w.printed.String(), `"args": ["[{\"id\": \"7\", \"phone\": \"03012\"}]"]`)
	require.Contains(t, w.printed.String(), "  ok    ended at 1, query (")
	require.Equal(t, 10000, pgtest.One[int](t, w.db, "SELECT count(*) FROM users WHERE phone_e164 = '030' || id"))
}

// TestPageOfCompiledWorks makes a bbmd of this checkout and a module that is not in it.
func TestPageOfCompiledWorks(t *testing.T) {
	t.Parallel()
	env, goFlags := offline(t)
	w := walk(t, "plugins-build.md", env, append([]string{"--replace", "github.com/bbmd-dev/bbmd=" + checkout(t), "--"}, goFlags...)...)
	require.Equal(t, 7, w.commands)
	require.Contains(t, w.printed.String(), "example.com/works: fill_initials\nbbmd-own has them: `bbmd-own works` lists all\n")
	require.Equal(t, 10000, pgtest.One[int](t, w.db, `SELECT count(*) FROM people WHERE initials = 'AB' || left(id::text, 1)`))
}
