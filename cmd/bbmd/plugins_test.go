package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/plugins"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// pluginEnv returns the environment of a directory for plugins, and the directory.
func pluginEnv(t *testing.T, db *pgtest.Database) (env []string, dir string) {
	t.Helper()
	base := t.TempDir()
	dir = filepath.Join(base, "plugins.d")
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.NoError(t, os.Chmod(dir, 0o755))
	return append(databaseURL(db), "BBMD_PLUGINS__DIR="+dir, "BBMD_PLUGINS__LOCK="+filepath.Join(base, "plugins.lock")), dir
}

// put writes a file of SQL that bbmd accepts.
func put(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
}

func exampleFile(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile("../../examples/plugins/normalize_email.sql")
	require.NoError(t, err)
	return string(content)
}

func TestPluginsCommands(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, "CREATE TABLE users (id bigint PRIMARY KEY, email text, email_norm text)")
	env, dir := pluginEnv(t, db)
	path := filepath.Join(dir, "normalize_email.sql")
	put(t, path, exampleFile(t))
	states := func() map[string]string {
		r := bbmd(t, env, "plugins", "list", "-o", "json")
		require.Zero(t, r.code, r.err)
		found := map[string]string{}
		for _, p := range decode[[]struct{ Name, State, Reason string }](t, r.out) {
			found[p.Name] = p.State
			require.Equal(t, p.State == "ok", p.Reason == "", p.Reason)
		}
		return found
	}
	refused := func(code int, want string, args ...string) {
		t.Helper()
		r := bbmd(t, env, append([]string{"plugins"}, args...)...)
		require.Equal(t, code, r.code, r.err)
		require.Contains(t, r.err, want)
	}
	require.Equal(t, map[string]string{"normalize_email": "unpinned"}, states())
	refused(73, "normalize_email: unpinned: the lock file does not name it", "verify")
	require.Zero(t, bbmd(t, env, "plugins", "lock").code)
	require.Zero(t, bbmd(t, env, "plugins", "verify").code)
	require.Equal(t, map[string]string{"normalize_email": "ok"}, states())

	edited := strings.Replace(exampleFile(t), "lower(btrim(email));", "lower(email);", 1)
	put(t, path, edited)
	require.Equal(t, map[string]string{"normalize_email": "mismatch"}, states())
	refused(73, "normalize_email: mismatch", "verify")
	refused(2, "no plugin nomalize_email", "lock", "--update", "nomalize_email")
	require.Zero(t, bbmd(t, env, "plugins", "lock", "--update", "normalize_email").code)
	require.Equal(t, map[string]string{"normalize_email": "ok"}, states())

	db.Exec(t, "ALTER TABLE users DROP COLUMN email_norm")
	require.Equal(t, map[string]string{"normalize_email": "invalid"}, states())
	refused(73, `normalize_email.sql: statement of line 8: ERROR: column "email_norm"`, "test", path)
	put(t, path, "-- bbmd: wrk a\n")
	refused(73, `normalize_email.sql:1:1: unknown line "wrk", did you mean "work"?`, "test", path)
	refused(73, "plugin normalize_email is in the state invalid", "lock")
	refused(2, "is neither a file of SQL", "test", filepath.Join(dir, "../plugins.lock"))
	refused(2, "the kind is one of sql, python, node, go", "new", "ruby", "x")
	refused(2, `"X-1" is not 1 to 63 lower case letters`, "new", "python", "X-1")
	refused(2, `work is "X-1"`, "new", "sql", "X-1")
	refused(2, "unknown work", "approve", "nothing")
}

func TestPluginsNeedADirectory(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	r := bbmd(t, databaseURL(db), "plugins", "list")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.err, "no directory of plugins is configured: set plugins.dir in the file, or BBMD_PLUGINS__DIR")
}

func TestPluginsApprove(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, "CREATE TABLE users (id bigint PRIMARY KEY, email text, email_norm text)")
	env, dir := pluginEnv(t, db)
	put(t, filepath.Join(dir, "normalize_email.sql"), exampleFile(t))
	r := bbmd(t, env, "enqueue", "normalize_email", "users", "--set", "xcept=a")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.err, `unknown argument "xcept", did you mean "except"?`)
	require.Zero(t, bbmd(t, env, "enqueue", "normalize_email", "users", "--name", "m").code)
	approve := func(want string) {
		t.Helper()
		r := bbmd(t, env, "plugins", "approve", "normalize_email")
		require.Zero(t, r.code, r.err)
		require.Contains(t, r.out, want)
	}
	approve("no migration of normalize_email began with another content")
	db.Exec(t, `UPDATE bbm.batched_background_migrations SET table_oid = 'users'::regclass, key_columns = '{id}', key_types = '{bigint}', work_version = 1, work_digest = 'sha256:0'`)
	r = bbmd(t, env, "plugins", "list")
	require.Zero(t, r.code, r.err)
	require.Regexp(t, `normalize_email +sql +1 +changed .*the migration m began with another content`, r.out)
	approve("m: goes on with the content that is there now")
	require.Equal(t, plugins.Digest([]byte(exampleFile(t))), pgtest.One[string](t, db, "SELECT work_digest FROM bbm.batched_background_migrations"))
}

func TestPluginsNew(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	p := spawn(t, databaseURL(db), "plugins", "new", "sql", "fill_b")
	require.Zero(t, p.wait(), p.err.String())
	require.Contains(t, p.out.String(), "wrote fill_b.sql: name your table and its columns in it; then `bbmd plugins test fill_b.sql` tries it")
	try := func() result { return bbmd(t, databaseURL(db), "plugins", "test", filepath.Join(p.Dir, "fill_b.sql")) }
	require.Regexp(t, "table does not exist: public.t: correct its line .* in \\S+/fill_b.test.sql\n", try().err)
	require.Contains(t, bbmd(t, databaseURL(db), "plugins", "test", "absent").err, "no such file or directory: name a file of SQL, or the directory of a program")

	db.Exec(t, "CREATE TABLE t (id bigint PRIMARY KEY, a text, b text)")
	r := try()
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.out, "the Work fill_b is understood, and the database takes its statements")
}

// TestPluginsInWorksAndDoctor wants the same facts wherever Works are shown.
func TestPluginsInWorksAndDoctor(t *testing.T) {
	t.Parallel()
	env, dir := pluginEnv(t, pgtest.New(t))
	put(t, filepath.Join(dir, "normalize_email.sql"), exampleFile(t))
	digest := plugins.Digest([]byte(exampleFile(t)))
	r := bbmd(t, env, "works")
	require.Zero(t, r.code, r.err)
	require.Regexp(t, `(?m)^normalize_email +1 +sql +unpinned +`+digest[7:19]+` +except string\? +Fills`, r.out)
	require.Regexp(t, `warn +works: plugin normalize_email is in the state unpinned`, bbmd(t, env, "doctor").out)
	require.Zero(t, bbmd(t, env, "plugins", "lock").code)
	require.Regexp(t, `(?m)^normalize_email +1 +sql +ok +`, bbmd(t, env, "works").out)
	require.Regexp(t, `ok +works: \d+ compiled in, 1 in files of SQL, 0 in programs`, bbmd(t, env, "doctor").out)

	put(t, filepath.Join(dir, "broken.sql"), "-- bbmd: wrk a\n")
	require.Regexp(t, `fail +works: plugin broken is in the state invalid`, bbmd(t, env, "doctor").out)
	require.NoError(t, os.RemoveAll(dir))
	r = bbmd(t, env, "works")
	require.Zero(t, r.code)
	require.Contains(t, r.err, "warning: the Works of plugins are not listed: ")
	require.Contains(t, r.out, "copy_column")
	require.Regexp(t, `fail +works: load plugins`, bbmd(t, env, "doctor").out)
}

func TestPluginsReload(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	env, dir := pluginEnv(t, db)
	r := bbmd(t, env, "plugins", "reload")
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.out, "default: no daemon listens")
	put(t, filepath.Join(dir, "normalize_email.sql"), exampleFile(t))
	p, _ := runDaemon(t, env)
	p.waitLog("listening for events")
	r = bbmd(t, env, "plugins", "reload")
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.out, "default: asked 1 that listen")
	p.waitLog("plugins loaded again, as somebody has asked")
}
