package main_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/need"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

const waiting = "SELECT count(*) = $1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bbmd/shop/wait' AND state = 'idle'"

// TestWaitForTheSchema has somebody wait before anything is there.
func TestWaitForTheSchema(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	w := shop(t, db)
	p := w.start("wait", "--progress", "1h")
	p.waitLog(`waiting \S+ of 10m0s: database shop: there is no history table: no objects; 2 pending: 1, 2; no migrator seen`)
	db.WaitFor(t, waiting, 1)
	require.Zero(t, pgtest.One[int](t, db, `SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
		WHERE application_name = 'bbmd/shop/wait' AND datname = current_database()`), "it holds no lock, and no transaction")
	require.Zero(t, w.run("migrate").code)
	r := p.result()
	require.Zero(t, r.code, r.err)
	require.Zero(t, w.run("wait", "--quiet").code)

	w.write("migrations/00003_more.sql", "-- +goose Up\nSELECT 1;\n")
	w.waitInVain("schema: the schema is at 2; 1 pending: 3; no migrator seen")
	require.Zero(t, w.run("wait", "--for", "version=2", "--for", "version=00001").code)
	w.waitInVain("version=3: ", "--for", "version=3")
	require.Zero(t, bbmd(t, databaseURL(db), "wait", "--for", "version=2").code, "without files, too")
	require.Equal(t, 2, w.run("wait", "--for", "nonsense").code)
	require.Equal(t, 2, w.run("wait", "other").code)
}

// TestWaitSaysWhoWorks has a migration that is under way.
func TestWaitSaysWhoWorks(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	w := shop(t, db)
	w.write("migrations/00003_slow.sql", "-- +goose Up\nSELECT pg_advisory_lock(42);\n")
	locker := db.Conn(t)
	_, err := locker.Exec(t.Context(), "SELECT pg_advisory_lock(42)")
	require.NoError(t, err)
	migrate := w.start("migrate")
	db.WaitFor(t, "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
	wait := w.start("wait")
	host, err := os.Hostname()
	require.NoError(t, err)
	wait.waitLog(`run 1 \(migrate, since \S+Z\) is at migrate 3 slow; the lock is held by pid \d+, bbmd/shop/\w+, on ` + host)
	_, err = locker.Exec(t.Context(), "SELECT pg_advisory_unlock(42)")
	require.NoError(t, err)
	require.Zero(t, migrate.wait())
	require.Zero(t, wait.wait())
}

// TestWaitGivesUpOnAFailure shows what a failed migration leaves for those who wait, and that mending it lets them through.
func TestWaitGivesUpOnAFailure(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	w := shop(t, db)
	w.write("migrations/00003_bad.sql", "-- +goose Up\nALTER TABLE orders\n  ADD COLUMN note txet;\n")
	patient := w.start("wait")
	patient.waitLog("no migrator seen")
	require.Equal(t, 65, w.run("migrate").code)
	patient.waitLog("run 1 failed at migrate 3 bad")

	last := filepath.Join(w.dir, "last-words")
	w.write("last-words", "")
	r := w.run("wait", "--retry-grace", "0s", "--termination-log", last)
	require.Equal(t, 65, r.code)
	words, err := os.ReadFile(last)
	require.NoError(t, err)
	for _, where := range []string{r.err, string(words)} {
		require.Contains(t, where, "database shop: run 1 failed at migrate 3 bad")
		require.Contains(t, where, `type "txet" does not exist`)
		require.Contains(t, where, "42704")
		require.Contains(t, where, "00003_bad.sql:3")
	}
	w.write("migrations/00003_bad.sql", "-- +goose Up\nALTER TABLE orders\n  ADD COLUMN note text;\n")
	require.Zero(t, w.run("migrate").code)
	require.Zero(t, patient.wait())
}

// TestWaitForADatabaseThatIsNotThere has it created while somebody waits.
func TestWaitForADatabaseThatIsNotThere(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t).Absent(t, "_new")
	w := shop(t, db)
	wait := w.start("wait")
	wait.waitLog("no connection: .* does not exist")
	w.write("create.yaml", fmt.Sprintf("databases: {shop: {url: %q, schema: {migrations: migrations, create: true}}}\n", db.URL))
	r := w.startWith("create.yaml", "migrate").result()
	require.Zero(t, r.code, r.err)
	require.Zero(t, wait.wait())
	r = newWorkspace(t, map[string]string{
		"bbmd.yaml": "databases: {shop: {url: 'postgres://u:hunter2@127.0.0.1:1/x?sslmode=disable', schema: {migrations: .}}}\n", "00001_a.sql": usersStep,
	}).run("wait", "--timeout", "300ms")
	require.Equal(t, 69, r.code, r.err)
	require.NotContains(t, r.err, "hunter2")
}

// TestWaitForWhatIsNewer has an older release start beside a newer database.
func TestWaitForWhatIsNewer(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	w := shop(t, db)
	require.Zero(t, w.run("migrate").code)
	require.NoError(t, os.Remove(filepath.Join(w.dir, "migrations/00002_orders.sql")))
	require.Zero(t, w.run("wait").code)
	r := w.run("wait", "--strict", "--retry-grace", "0s")
	require.Equal(t, 73, r.code)
	require.Contains(t, r.err, "AHEAD")
}

func TestWaitForBackgroundMigrations(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	w := newWorkspace(t, map[string]string{"bbmd.yaml": fmt.Sprintf("databases: {shop: {url: %q}}\n", db.URL)})
	wait := w.start("wait", "--for", "migration=m", "--progress", "1h")
	wait.waitLog("there is no background migration m yet")
	db.Exec(t, "CREATE TABLE t (id bigint PRIMARY KEY, n int); INSERT INTO t VALUES (1)")
	db.Exec(t, `SELECT bbm.enqueue('execute_sql', 't', '{"sql": "UPDATE t SET n = 1 WHERE :range"}', name => 'm')`)
	db.Exec(t, "SELECT bbm.pause('m', 'lunch')")
	wait.waitLog("background migration m is paused, 0 % done: lunch")
	all := w.start("wait", "--for", "all", "--progress", "1h")
	all.waitLog("background migration m is paused")
	db.Exec(t, "SELECT bbm.resume('m')")
	require.Zero(t, w.run("finalize", "m").code)
	require.Zero(t, wait.wait())
	require.Zero(t, all.wait())

	db.Exec(t, `SELECT bbm.enqueue('execute_sql', 't', '{"sql": "UPDATE t SET n = 1 WHERE :range"}', name => 'x')`)
	db.Exec(t, "SELECT bbm.cancel('x', 'never mind')")
	r := w.run("wait", "--for", "migration=x", "--retry-grace", "0s")
	require.Equal(t, 73, r.code)
	require.Contains(t, r.err, "background migration x is cancelled: never mind")
	require.Equal(t, 2, w.run("wait").code, "there is no schema to wait for")
}

func TestWaitEndsAtOnce(t *testing.T) {
	t.Parallel()
	w := shop(t, pgtest.NewEmpty(t))
	for signal, code := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGINT: 130} {
		p := w.start("wait")
		p.waitLog("no migrator seen")
		p.signal(signal)
		require.Equal(t, code, p.wait())
	}
}

// waitInVain waits for what does not happen, long enough to look once, and checks what is said in the end.
func (w workspace) waitInVain(says string, args ...string) {
	w.t.Helper()
	for timeout := 300 * time.Millisecond; ; timeout *= 2 {
		r := w.run(append([]string{"wait", "--timeout", timeout.String()}, args...)...)
		if timeout < patience && (strings.Contains(r.err, "has not answered") || strings.Contains(r.err, "no time to look")) {
			continue
		}
		require.Equal(w.t, 4, r.code, r.err)
		require.Regexp(w.t, `bbmd: database shop: still waiting after \d+\w* for `+regexp.QuoteMeta(says), r.err)
		return
	}
}

// startWith is [workspace.start] with another configuration file of the workspace.
func (w workspace) startWith(file string, args ...string) *process {
	w.t.Helper()
	return spawn(w.t, []string{"BBMD_LOG__LEVEL=warn"}, append(args, "--config", filepath.Join(w.dir, file))...)
}

// guarded is a database that belongs to a role of its own, and one that may do nothing yet.
type guarded struct {
	workspace

	db *pgtest.Database
}

func newGuarded(t *testing.T) guarded {
	t.Helper()
	db := pgtest.NewEmpty(t).Superuser(t)
	g := guarded{workspace: shop(t, db), db: db}
	for _, role := range []string{"waiter", "migrator"} {
		db.Exec(t, "CREATE ROLE "+g.role(role)+" LOGIN PASSWORD 'x'")
		t.Cleanup(func() { g.dropRole(t, g.role(role)) })
		link, err := url.Parse(db.URL)
		require.NoError(t, err)
		link.User = url.UserPassword(g.role(role), "x")
		g.write(role+".yaml", fmt.Sprintf("databases: {shop: {url: %q, schema: {migrations: migrations}}}\n", link))
	}
	db.Exec(t, "REVOKE ALL ON DATABASE "+db.Name+" FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC; "+
		"GRANT CREATE, USAGE ON SCHEMA public TO "+g.role("migrator")+"; GRANT CONNECT, CREATE ON DATABASE "+db.Name+" TO "+g.role("migrator"))
	return g
}

func (g guarded) role(name string) string { return g.db.Name + "_" + name }

func (g guarded) dropRole(t *testing.T, role string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, g.db.URL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role)
	require.NoError(t, err)
}

// grant runs the script that is shipped.
func (g guarded) grant(t *testing.T, arguments ...string) {
	t.Helper()
	args := append([]string{"-X", "-q", "-v", "role=" + g.role("waiter"), "-v", "migrator=" + g.role("migrator"), "-f", "../../deploy/sql/wait-role.sql"}, arguments...)
	out, err := exec.CommandContext(t.Context(), need.Program(t, "psql"), append(args, g.db.URL)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// TestWaitAsItsRole waits as the role that the script makes, before anything is there.
func TestWaitAsItsRole(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.grant(t, "-v", "future=on")
	wait := g.startWith("waiter.yaml", "wait")
	wait.waitLog("no migrator seen")
	r := g.startWith("migrator.yaml", "migrate").result()
	require.Zero(t, r.code, r.err)
	require.Zero(t, wait.wait())
	for _, args := range [][]string{{"wait", "--for", "all"}, {"verify"}} {
		r = g.startWith("waiter.yaml", args...).result()
		require.Zero(t, r.code, r.err)
	}
	r = g.startWith("waiter.yaml", "migrate").result()
	require.Zero(t, r.code, "there is nothing to do")
	g.write("migrations/00003_more.sql", "-- +goose Up\nCREATE TABLE more ();\n")
	r = g.startWith("waiter.yaml", "migrate").result()
	require.NotZero(t, r.code, "it may not")
}

// TestWaitAsItsRoleAfterwards gives the role its rights once there is something to read.
func TestWaitAsItsRoleAfterwards(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.grant(t)
	r := g.startWith("migrator.yaml", "migrate").result()
	require.Zero(t, r.code, r.err)
	r = g.startWith("waiter.yaml", "wait", "--retry-grace", "0s").result()
	require.Equal(t, 73, r.code, r.err)
	require.Contains(t, r.err, "GRANT USAGE ON SCHEMA public and SELECT ON public.goose_db_version")
	g.grant(t)
	r = g.startWith("waiter.yaml", "wait").result()
	require.Zero(t, r.code, r.err)
}

// TestWaitOverHTTP waits without a connection to the database.
func TestWaitOverHTTP(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	w := shop(t, db)
	w.write("bbmd.yaml", fmt.Sprintf("databases: {shop: {url: %q, schema: {migrations: migrations, on_start: verify}}}\n", db.URL))
	_, address := runDaemon(t, nil, "--config", filepath.Join(w.dir, "bbmd.yaml"))
	wait := spawn(t, nil, "wait", "--via", "http", "--url", address, "--for", "version=2", "--progress", "1s")
	wait.waitLog("database shop: version 2 is not there")
	schema := spawn(t, nil, "wait", "shop", "--via", "http", "--url", address)
	require.Zero(t, w.run("migrate").code)
	require.Zero(t, wait.wait())
	require.Zero(t, schema.wait())
	require.Equal(t, 2, bbmd(t, nil, "wait", "other", "--via", "http", "--url", address).code)
	require.Equal(t, 2, bbmd(t, nil, "wait", "--via", "http", "--url", address, "--for", "nonsense").code)
	r := bbmd(t, nil, "wait", "--via", "http", "--url", address, "--for", "version=3", "--timeout", "300ms")
	require.Equal(t, 4, r.code, r.err)
	require.Equal(t, 69, bbmd(t, nil, "wait", "--via", "http", "--url", "http://127.0.0.1:1", "--timeout", "3s").code)

	w.write("migrations/00003_bad.sql", "-- +goose Up\nSELECT nonsense;\n")
	require.Equal(t, 65, w.run("migrate").code)
	r = bbmd(t, nil, "wait", "--via", "http", "--url", address, "--for", "version=3", "--retry-grace", "0s", "--progress", "1s")
	require.Equal(t, 65, r.code, r.err)
	require.Contains(t, r.err, `column "nonsense" does not exist`)
}
