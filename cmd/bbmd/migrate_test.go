package main_test

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// workspace is a directory with a configuration file and whatever else it needs.
type workspace struct {
	t   *testing.T
	dir string
}

func newWorkspace(t *testing.T, files map[string]string) workspace {
	t.Helper()
	w := workspace{t: t, dir: t.TempDir()}
	for name, content := range files {
		w.write(name, content)
	}
	return w
}

func (w workspace) write(name, content string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	require.NoError(w.t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(w.t, os.WriteFile(path, []byte(content), 0o600))
}

// run runs a command with the workspace's configuration.
func (w workspace) run(args ...string) result {
	w.t.Helper()
	return w.start(args...).result()
}

func (w workspace) start(args ...string) *process {
	w.t.Helper()
	return spawn(w.t, []string{"PATH=" + os.Getenv("PATH"), "BBMD_LOG__LEVEL=warn"}, append(args, "--config", filepath.Join(w.dir, "bbmd.yaml"))...)
}

func (p *process) result() result {
	p.t.Helper()
	return result{code: p.wait(), out: p.out.String(), err: p.err.String()}
}

const (
	usersStep  = "-- +goose Up\nCREATE TABLE users (id bigint PRIMARY KEY);\n"
	ordersStep = "-- +goose Up\nCREATE TABLE orders (id bigint PRIMARY KEY);\n"
)

// shop is a workspace whose one database has two migrations.
func shop(t *testing.T, db *pgtest.Database) workspace {
	t.Helper()
	return newWorkspace(t, map[string]string{
		"bbmd.yaml":                   fmt.Sprintf("databases: {shop: {url: %q, schema: {migrations: migrations}}}\n", db.URL),
		"migrations/00001_users.sql":  usersStep,
		"migrations/00002_orders.sql": ordersStep,
	})
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	w := shop(t, db)

	r := w.run("plan")
	require.Equal(t, 0, r.code, r.err)
	require.Regexp(t, `(?m)^shop +EMPTY +goose +2 +2 +migrate$`, r.out)
	require.Regexp(t, `migrate 1 users \(.*migrations/00001_users.sql\)`, r.out)
	require.Equal(t, r.out, w.run("migrate", "--dry-run").out)
	r = w.run("verify")
	require.Equal(t, 3, r.code)
	require.Equal(t, "bbmd: database shop: EMPTY: 2 pending: 1, 2: run bbmd migrate shop\n", r.err)
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"), "nothing was changed")

	r = w.run("migrate")
	require.Equal(t, 0, r.code, r.err)
	require.Regexp(t, `(?m)^shop +EMPTY +migrated +2 +2 +\S+ +1$`, r.out)
	require.Empty(t, r.err)
	r = w.run("migrate", "shop")
	require.Regexp(t, `(?m)^shop +VERSIONED +up to date +2 +2 +\S+$`, r.out)
	require.Equal(t, 0, w.run("verify").code)

	require.Contains(t, w.run("status").out, "\nSchema\n  VERSIONED, goose, at 2, up to date\n")
	require.Regexp(t, `(?m)^ +1 +migrate +finished +EMPTY +2 +2 `, w.run("status", "--runs").out)
	require.Regexp(t, `(?m)^ +2 +migrate +2 +\S+00002_orders.sql +1 `, w.run("status", "--run", "1").out)
	require.Equal(t, 2, w.run("status", "--run", "2").code)

	type reported struct {
		Database, Outcome, State string
		Result                   struct{ From, To []string }
		ExitCode                 int `json:"exit_code"`
	}
	all := decode[[]reported](t, w.run("migrate", "--all", "-o", "json").out)
	require.Len(t, all, 1)
	require.Equal(t, "up to date", all[0].Outcome)
	require.Equal(t, []string{"2"}, all[0].Result.To)
	require.Equal(t, initialize.Versioned, decode[[]initialize.Finding](t, w.run("plan", "-o", "json").out)[0].State)
	require.Len(t, decode[[]struct{ ID int }](t, w.run("status", "--runs", "-o", "json").out), 1)
}

func TestBaselineAndStamp(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	w := shop(t, db)
	db.Exec(t, "CREATE TABLE users (id bigint PRIMARY KEY); INSERT INTO users VALUES (7)")

	r := w.run("migrate")
	require.Equal(t, 73, r.code)
	require.Contains(t, r.err, "database shop: UNVERSIONED: ")
	require.Contains(t, r.err, "bbmd baseline shop --version VERSION")
	require.Contains(t, r.err, "public.orders")
	require.Contains(t, w.run("plan", "--compare").out, "it differs from the declared schema")
	require.Equal(t, 73, w.run("baseline").code)

	r = w.run("baseline", "--version", "1", "--prove")
	require.Equal(t, 0, r.code, r.err)
	require.Regexp(t, `(?m)^shop +UNVERSIONED +adopted +1 `, r.out)
	r = w.run("migrate")
	require.Equal(t, 0, r.code, r.err)
	require.Equal(t, 7, pgtest.One[int](t, db, "SELECT id FROM users"))
	require.Contains(t, w.run("plan", "--compare").out, "it is the declared schema")

	db.Exec(t, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, true)")
	require.Equal(t, 73, w.run("migrate").code)
	r = w.run("stamp", "shop", "2")
	require.Equal(t, 0, r.code, r.err)
	require.Equal(t, 0, w.run("migrate").code)
	require.Equal(t, 2, w.run("stamp", "shop", "3").code)
	require.Equal(t, 2, w.run("stamp", "shop").code)
}

// TestSchemasThatSomebodyHasToLookAt has every state in which a database is left alone.
func TestSchemasThatSomebodyHasToLookAt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sql    string // what is in the database
		dir    string // its migrations; empty: migrations
		schema string // instead of them
		url    func(string) string
		code   int
		says   string
		verify int
	}{
		"two tools": {
			sql: gooseTable + "; CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY); INSERT INTO alembic_version VALUES ('a1')", dir: "both",
			code: 2, says: "both", verify: 2,
		},
		"an unknown version": {
			sql: "CREATE TABLE users (id int); " + gooseTable + ", (7, true)", dir: "late",
			code: 73, says: "database shop: UNKNOWN_REVISION: ", verify: 73,
		},
		"a newer database": {
			sql: "CREATE TABLE users (id int); " + gooseTable + ", (2, true), (20, true)", code: 73, says: "database shop: AHEAD: ", verify: 0,
		},
		"a dirty history": {
			sql:    "CREATE TABLE users (id int); CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL); INSERT INTO schema_migrations VALUES (1, true)",
			schema: "{history: command, command: [migrate, up]}", code: 73, says: "database shop: DIRTY: ", verify: 73,
		},
		"another tool that was left half-way": {
			sql:  "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL); INSERT INTO schema_migrations VALUES (1, true)",
			code: 73, says: "database shop: DIRTY: public.schema_migrations (golang-migrate, at 1): ", verify: 73,
		},
		"another tool's": {
			sql:  "CREATE TABLE users (id int); CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY); INSERT INTO alembic_version VALUES ('a1')",
			code: 73, says: "database shop: AMBIGUOUS: the files in ", verify: 73,
		},
		"a migration that fails": {dir: "broken", code: 65, says: `broken/00001_bad.sql:3: ERROR: type "nonsense" does not exist`, verify: 3},
		"no such database": {
			url: func(url string) string {
				return regexp.MustCompile(`/t_\w+`).ReplaceAllString(url, "/nobody_made_this")
			},
			code: 73, says: "the server has no database of that name", verify: 3,
		},
		"no server": {
			url:  func(string) string { return "postgres://u:hunter2@127.0.0.1:1/x?sslmode=disable" },
			code: 69, says: "connection refused", verify: 69,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.NewEmpty(t)
			url := db.URL
			if test.url != nil {
				url = test.url(url)
			}
			if test.sql != "" {
				db.Exec(t, test.sql)
			}
			w := shop(t, db)
			w.write("broken/00001_bad.sql", "-- +goose Up\nCREATE TABLE t (\n  id nonsense\n);\n")
			w.write("late/00001_users.sql", usersStep)
			w.write("late/00009_orders.sql", ordersStep)
			w.write("both/00001_users.sql", usersStep)
			w.write("both/versions/a1.py", "revision = 'a1'\ndown_revision = None\n")
			w.write("bbmd.yaml", fmt.Sprintf("databases: {shop: {url: %q, schema: %s}}\n", url, cmp.Or(test.schema, "{migrations: "+cmp.Or(test.dir, "migrations")+"}")))
			before := everything(t, db)
			r := w.run("migrate")
			require.Equal(t, test.code, r.code, r.err)
			require.Contains(t, r.err, test.says)
			require.NotContains(t, r.err, "hunter2")
			require.Equal(t, test.verify, w.run("verify").code)
			if test.code != 65 {
				require.Equal(t, before, everything(t, db), "nothing was changed")
			}
		})
	}
}

// everything lists what is in a database.
func everything(t *testing.T, db *pgtest.Database) string {
	t.Helper()
	return pgtest.One[string](t, db, "SELECT coalesce(string_agg(oid::regclass::text, ' ' ORDER BY oid), '') FROM pg_class WHERE relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'pg_toast'::regnamespace)")
}

func TestMigrateWaitsForAnAddress(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	w := shop(t, db)
	address, listen := reservePort(t)
	p := w.start("migrate", "--wait-for", address)
	p.waitLog("waiting for " + address)
	listen()
	r := p.result()
	require.Equal(t, 0, r.code, r.err)
	require.Contains(t, r.out, "migrated")

	r = w.run("migrate", "--wait-for", "nowhere")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.err, "--wait-for nowhere: it is not host:port")
	r = w.run("migrate", "--wait-for", "127.0.0.1:1", "--timeout", "300ms")
	require.Equal(t, 4, r.code)
	require.Contains(t, r.err, "127.0.0.1:1 accepts no connections")
}

// reservePort returns an address that nobody else can take, and that accepts
// connections once listen is called.
func reservePort(t *testing.T) (address string, listen func()) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	socket := os.NewFile(uintptr(fd), "socket")
	t.Cleanup(func() { _ = socket.Close() })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	name, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	bound, ok := name.(*syscall.SockaddrInet4)
	require.True(t, ok)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(bound.Port)), func() { require.NoError(t, syscall.Listen(fd, 1)) }
}

// TestMigrateTimesOut has somebody else hold the lock.
func TestMigrateTimesOut(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	w := shop(t, db)
	_, err := db.Conn(t).Exec(t.Context(), "SELECT pg_advisory_lock(7704, 0)")
	require.NoError(t, err)
	r := w.run("migrate", "--timeout", "1s")
	require.Equal(t, 75, r.code, r.err)
	require.Contains(t, r.err, "database shop: ")
}

func TestReset(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	w := shop(t, db)
	require.Equal(t, 0, w.run("migrate").code)
	db.Exec(t, "INSERT INTO users VALUES (1)")

	r := w.run("reset", "--yes")
	require.Equal(t, 73, r.code)
	require.Contains(t, r.err, "development_mode is off")
	w.write("bbmd.yaml", fmt.Sprintf("development_mode: true\ndatabases: {shop: {url: %q, schema: {migrations: migrations}}}\n", db.URL))
	r = w.run("reset")
	require.Equal(t, 73, r.code)
	require.Contains(t, r.err, "nobody can be asked here: say --yes")
	require.NotContains(t, r.err, "password")
	db.Exec(t, "SELECT bbm.mark_production('real')")
	r = w.run("reset", "--yes")
	require.Equal(t, 73, r.code)
	require.Contains(t, r.err, "marked as production")
	db.Exec(t, "SELECT bbm.unmark_production()")
	require.Equal(t, 1, pgtest.One[int](t, db, "SELECT count(*) FROM users"))

	r = w.run("reset", "shop", "--yes")
	require.Equal(t, 0, r.code, r.err)
	require.Regexp(t, `(?m)^shop +VERSIONED +recreated +2 +2 `, r.out)
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM users"))
}

// TestMigrateIsInterrupted ends a run in the middle of a statement.
func TestMigrateIsInterrupted(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	w := shop(t, db)
	w.write("migrations/00003_slow.sql", "-- +goose Up\nCREATE TABLE half ();\nSELECT pg_sleep(600);\n")
	w.write("last-words", "")
	for i, interruption := range []struct {
		signal syscall.Signal
		code   int
	}{{syscall.SIGTERM, 75}, {syscall.SIGINT, 130}} {
		p := w.start("migrate", "--termination-log", filepath.Join(w.dir, "last-words"))
		db.WaitFor(t, "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()")
		p.signal(interruption.signal)
		r := p.result()
		require.Equal(t, interruption.code, r.code, r.err)
		require.Equal(t, i+1, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.runs WHERE outcome = 'interrupted'"))
		require.Equal(t, 2, pgtest.One[int](t, db, "SELECT max(version_id) FROM goose_db_version"), "the step was rolled back")
		words, err := os.ReadFile(filepath.Join(w.dir, "last-words"))
		require.NoError(t, err)
		require.Contains(t, string(words), "database shop: ")
	}
	w.write("migrations/00003_slow.sql", "-- +goose Up\nSELECT 1;\n")
	require.Zero(t, w.run("migrate").code, "the next one goes on")
}
