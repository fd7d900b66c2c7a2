package main_test

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/need"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// tryEnv returns the environment of `bbmd plugins test`, with the server of the tests.
func tryEnv(t *testing.T) []string {
	t.Helper()
	server, err := url.Parse(pgtest.NewEmpty(t).Superuser(t).URL)
	require.NoError(t, err)
	server.Path = "/postgres"
	return append(os.Environ(), pgtest.EnvServer+"="+server.String())
}

// begin writes a plugin as `bbmd plugins new` does, and returns its directory.
func begin(t *testing.T, kind string) (dir string) {
	t.Helper()
	p := spawn(t, os.Environ(), "plugins", "new", kind, "fill_b")
	require.Zero(t, p.wait(), p.err.String())
	require.Contains(t, p.out.String(), "`bbmd plugins test fill_b` tries it")
	require.NoError(t, os.Chmod(p.Dir, 0o755)) // whatever the umask is
	again := exec.CommandContext(t.Context(), p.Path, "plugins", "new", kind, "fill_b")
	again.Dir, again.Env = p.Dir, p.Env
	require.Error(t, again.Run(), "nothing is overwritten")
	return filepath.Join(p.Dir, "fill_b")
}

// TestPluginsTestTriesWhatNewWrites tries what authors begin with; for Python
// TestPluginsTestKills does.
func TestPluginsTestTriesWhatNewWrites(t *testing.T) {
	t.Parallel()
	env := tryEnv(t)
	for _, kind := range []string{"node", "go"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			if kind == "node" {
				need.Program(t, kind)
			}
			dir := begin(t, kind)
			if kind == "go" {
				compile(t, dir)
			}
			r := bbmd(t, env, "plugins", "test", dir)
			require.Zero(t, r.code, "%s\n%s", r.out, r.err)
			for _, check := range []string{"one batch", "batches of 1", "row that somebody writes", "verify", "executor"} {
				require.Contains(t, r.out, "  ok    "+check+" (")
			}
		})
	}
}

// compile builds a plugin in Go with this checkout.
func compile(t *testing.T, dir string) {
	t.Helper()
	sums, err := os.ReadFile(filepath.Join(checkout(t), "go.sum"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o600))
	env, goFlags := offline(t)
	for _, arguments := range [][]string{
		{"mod", "edit", "-replace=github.com/bbmd-dev/bbmd=" + checkout(t)},
		append(append([]string{"build", "-o", "run"}, goFlags...), "."),
	} {
		cmd := exec.CommandContext(t.Context(), "go", arguments...)
		cmd.Dir, cmd.Env = dir, env
		output, err := cmd.CombinedOutput()
		require.NoError(t, err, string(output))
	}
}

// TestPluginsTestKills kills the program of an example at some of its messages, and
// then breaks it in ways that the checks have to find.
func TestPluginsTestKills(t *testing.T) {
	t.Parallel()
	need.Program(t, "python3")
	env, dir := tryEnv(t), begin(t, "python")
	r := bbmd(t, env, "plugins", "test", dir, "--kill-at", "done")
	require.Zero(t, r.code, "%s\n%s", r.out, r.err)
	require.Regexp(t, `(?m)^  ok    ended at 1, done \(`, r.out)
	require.Regexp(t, `(?m)^  ok    ended at 2, done \(`, r.out)

	refused := func(code int, says string, arguments ...string) {
		t.Helper()
		r := bbmd(t, env, append([]string{"plugins", "test"}, arguments...)...)
		require.Equal(t, code, r.code, "%s\n%s", r.out, r.err)
		require.Contains(t, r.out+r.err, says)
	}
	program := filepath.Join(dir, "run.py")
	source, err := os.ReadFile(program)
	require.NoError(t, err)
	write := func(old, now string) {
		t.Helper()
		require.Contains(t, string(source), old)
		need.Executable(t, program, []byte(strings.Replace(string(source), old, now, 1)))
	}
	write(`batch.arguments["prefix"] + row["a"]`, `row["a"]`)
	refused(73, "1 of 1 cases failed", dir)
	write("def fill(batch):\n", "def fill(batch):\n    raise SystemExit(3)\n")
	refused(73, "it ended in the middle of a task: exit status 3", dir)

	refused(2, "--kill-at lunch: say each, the number of a message", dir, "--kill-at", "lunch")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "test.sql"), []byte("-- bbmd: cas x\n"), 0o600))
	refused(2, `test.sql:1:1: unknown line "cas", did you mean "case"?`, dir)
	require.NoError(t, os.Remove(filepath.Join(dir, "test.sql")))
	refused(2, "has no case: write a test.sql into it", dir)
	require.NoError(t, os.Remove(filepath.Join(dir, "plugin.json")))
	refused(73, "has no plugin.json", dir)
}

// TestPluginsTestTriesAFileOfSQL tries a file by the case beside it, which is no plugin.
func TestPluginsTestTriesAFileOfSQL(t *testing.T) {
	t.Parallel()
	env := tryEnv(t)
	pluginsEnv, dir := pluginEnv(t, pgtest.NewEmpty(t))
	put(t, filepath.Join(dir, "normalize_email.sql"), exampleFile(t))
	put(t, filepath.Join(dir, "normalize_email.test.sql"), `-- bbmd: table public.users
-- bbmd: section setup
CREATE TABLE public.users (id bigint PRIMARY KEY, email text, email_norm text);
INSERT INTO public.users SELECT i, 'User' || i || '@Example.org' FROM generate_series(1, 30) i;
-- bbmd: section wrong
SELECT id FROM public.users WHERE email_norm IS DISTINCT FROM lower(email);
`)
	r := bbmd(t, env, "plugins", "test", filepath.Join(dir, "normalize_email.sql"))
	require.Zero(t, r.code, "%s\n%s", r.out, r.err)
	require.Contains(t, r.out, "  ok    executor (")
	r = bbmd(t, pluginsEnv, "plugins", "list", "-o", "json")
	require.Len(t, decode[[]struct{ Name string }](t, r.out), 1)
}
