package main_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var value T
	require.NoError(t, json.Unmarshal([]byte(text), &value), text)
	return value
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"command":  {"nonsense"},
		"flag":     {"run", "--nonsense"},
		"value":    {"run", "--workers", "many"},
		"argument": {"version", "of", "what"},
		"valid":    {"probe", "dead"},
		"missing":  {"probe"},
		"output":   {"version", "--output", "xml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := bbmd(t, nil, args...)
			require.Equal(t, 2, r.code)
			require.Regexp(t, `^bbmd: .+\n`, r.err)
			require.Empty(t, r.out)
		})
	}
	require.Contains(t, bbmd(t, nil, "probe").err, "Run `bbmd probe --help` for usage.\n")
	require.Regexp(t, `"postgres://app:\*\*\*@db:99999/app": .*invalid port; correct it; special characters`, bbmd(t, []string{"DATABASE_URL=postgres://app:hunter2@db:99999/app"}, "status").err)
	require.Contains(t, bbmd(t, nil, "statsu").err, `unknown command "statsu" for "bbmd", did you mean status?`)
	require.Contains(t, bbmd(t, nil, "enqueue", "w").err, "accepts 2 arg(s), received 1: bbmd enqueue WORK TABLE")
	require.Equal(t, 0, bbmd(t, nil).code)
}

func TestVersion(t *testing.T) {
	t.Parallel()
	require.Regexp(t, `^bbmd \S+ \(go1\.\S+, \w+/\w+\)\n$`, bbmd(t, nil, "version").out)
	require.Regexp(t, `^bbmd version \S+\n$`, bbmd(t, nil, "--version").out)
	require.NotEmpty(t, decode[map[string]string](t, bbmd(t, nil, "version", "-o", "json").out)["version"])
}

func TestConfigIsAConfiguration(t *testing.T) {
	t.Parallel()
	env := []string{"DATABASE_URL=postgres://app:hunter2@h:5432/db"}
	r := bbmd(t, env, "config", "--workers", "7", "--log-level", "debug")
	require.Equal(t, 0, r.code, r.err)
	require.NotContains(t, r.out, "hunter2")
	require.Contains(t, r.out, "workers: 7 # flag --workers")
	require.Contains(t, r.out, "url: postgres://app:***@h:5432/db # env DATABASE_URL")

	file := filepath.Join(t.TempDir(), "bbmd.yaml")
	require.NoError(t, os.WriteFile(file, []byte(r.out), 0o600))
	again := bbmd(t, nil, "config", "--config", file, "-o", "json")
	require.Equal(t, 0, again.code, again.err)
	values := map[string]string{}
	for _, setting := range decode[[]map[string]string](t, again.out) {
		values[setting["key"]] = setting["value"]
	}
	require.Equal(t, "7", values["background_migrations.workers"])
	require.Equal(t, "debug", values["log.level"])

	require.Equal(t, 2, bbmd(t, nil, "config").code, "without a database the daemon would not start")
}

func TestWorks(t *testing.T) {
	t.Parallel()
	r := bbmd(t, nil, "works")
	require.Equal(t, 0, r.code, r.err)
	require.Regexp(t, `(?m)^NAME +VERSION +KIND +STATE +DIGEST +ARGUMENTS +SUMMARY$`, r.out)
	require.Regexp(t, `(?m)^copy_column +1 +compiled +ok +- +from string, to string, cast string\?, skip_equal boolean +Copies`, r.out)

	type argument struct {
		Name, Type string
		Nullable   bool
	}
	type work struct {
		Name, Summary string
		Version       int
		Arguments     []argument
	}
	works := decode[[]work](t, bbmd(t, nil, "works", "--output", "json").out)
	var names []string
	for _, w := range works {
		names = append(names, w.Name)
		require.NotEmpty(t, w.Summary)
		require.NotEmpty(t, w.Arguments)
	}
	require.Subset(t, names, []string{"backfill_column", "copy_column", "delete_rows", "execute_sql"})
}

func TestProbe(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte("[-] listener/auth: why not\nnot ready\n"))
			return
		}
		_, _ = w.Write([]byte("alive\n"))
	}))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	env := []string{"DATABASE_URL=postgres://h/db", "BBMD_HTTP__LISTEN=:" + port}

	r := bbmd(t, env, "probe", "live")
	require.Equal(t, 0, r.code, r.err)
	require.Equal(t, "alive\n", r.out)
	r = bbmd(t, env, "probe", "ready")
	require.Equal(t, 1, r.code)
	require.Equal(t, "bbmd: probe: 503 Service Unavailable\nbbmd: [-] listener/auth: why not\nbbmd: not ready\n", r.err)
	require.Equal(t, 2, bbmd(t, []string{"DATABASE_URL=postgres://h/db", "BBMD_HTTP__LISTEN="}, "probe", "live").code)

	server.Close()
	r = bbmd(t, env, "probe", "live")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.err, "is the daemon running?")
}

func TestInitControl(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	for range 2 {
		r := bbmd(t, databaseURL(db), "init-control")
		require.Equal(t, 0, r.code, r.err)
		require.Equal(t, "database default: the control schema bbm is up to date\n", r.out)
	}
	require.NoError(t, control.Check(t.Context(), db.Conn(t), ""))
}

func TestInitControlPrints(t *testing.T) {
	t.Parallel()
	for schema, args := range map[string][]string{"bbm": nil, "elsewhere": {"--control-schema", "elsewhere"}} {
		db := pgtest.NewEmpty(t)
		r := bbmd(t, nil, append([]string{"init-control", "--print"}, args...)...)
		require.Equal(t, 0, r.code, r.err)
		db.Exec(t, r.out)
		require.NoError(t, control.Check(t.Context(), db.Conn(t), schema))
	}
}

func TestWhichDatabase(t *testing.T) {
	t.Parallel()
	auth, billing := pgtest.NewEmpty(t), pgtest.NewEmpty(t)
	file := filepath.Join(t.TempDir(), "bbmd.yaml")
	content := fmt.Sprintf("databases: {auth: {url: %q}, billing: {url: %q}}", auth.URL, billing.URL)
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))

	r := bbmd(t, nil, "init-control", "--config", file)
	require.Equal(t, 2, r.code)
	require.Contains(t, r.err, "choose with --database one of auth, billing")
	r = bbmd(t, nil, "init-control", "--config", file, "--database", "bulling")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.err, `no database "bulling" in the configuration: it has auth, billing`)
	r = bbmd(t, nil, "init-control", "--config", file, "-d", "billing")
	require.Equal(t, 0, r.code, r.err)
	require.NoError(t, control.Check(t.Context(), billing.Conn(t), ""))
	require.ErrorIs(t, control.Check(t.Context(), auth.Conn(t), ""), control.ErrOutdated)

	r = bbmd(t, nil, "__complete", "init-control", "--config", file, "--database", "")
	require.Contains(t, r.out, "auth\nbilling\n")
}

func TestManual(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.Equal(t, 0, bbmd(t, nil, "man", dir).code)
	for _, page := range []string{"bbmd.1", "bbmd-run.1", "bbmd-doctor.1"} {
		require.FileExists(t, filepath.Join(dir, page))
	}
	require.NoFileExists(t, filepath.Join(dir, "bbmd-man.1"))
	require.Contains(t, bbmd(t, nil, "completion", "bash").out, "bbmd")
}
