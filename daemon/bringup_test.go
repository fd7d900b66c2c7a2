package daemon_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestTheSchemaIsBroughtUpAtTheStart(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	d := start(t, configWith(db, twoSteps(t).schema()))
	d.waitReady()
	require.Equal(t, "goose_db_version orders users", tables(t, db))
	_, body := d.get("/readyz?verbose")
	require.Contains(t, body, "[+] schema/default")
	require.Equal(t, 1.0, d.metric(`bbmd_schema_up{database="default"}`))
	require.Equal(t, 1.0, d.metric(`bbmd_schema_runs_total{action="migrate",database="default",outcome="finished"}`))

	again := start(t, configWith(db, twoSteps(t).schema()))
	again.waitReady()
	require.Zero(t, again.metric(`bbmd_schema_runs_total{action="migrate",database="default",outcome="finished"}`))
}

func TestASchemaThatIsOffIsLeftAlone(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	schema := twoSteps(t).schema()
	schema.OnStart = config.OnStartOff
	d := start(t, configWith(db, schema))
	d.waitReady()
	_, body := d.get("/readyz?verbose")
	require.NotContains(t, body, "schema/default\n")
	require.Empty(t, tables(t, db))
}

// TestAMigrationThatFails shows that it is told, that it is not tried again and again,
// that background migrations go on, and that the daemon notices when somebody has mended it.
func TestAMigrationThatFails(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	p := newProject(t).migration(1, "CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0);")
	cfg := configWith(db, p.schema())
	_, err := daemon.Migrate(t.Context(), cfg, daemon.SchemaOptions{})
	require.NoError(t, err)
	db.Exec(t, "INSERT INTO t SELECT generate_series(1, 1000)")
	p.migration(2, "ALTER TABLE t ADD CHECK (n > 0);")

	d := start(t, cfg)
	d.waitAnswer("/readyz?verbose", http.StatusServiceUnavailable, `\[-\] schema/default: .*00002_step.sql.*is violated by some row`)
	d.requireAlive()
	enqueue(t, db, "bump", "t", 100)
	waitFinished(t, db, "t")
	require.Equal(t, 1, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.runs WHERE outcome = 'failed'"))
	require.Equal(t, 0.0, d.metric(`bbmd_schema_up{database="default"}`))

	_, err = daemon.Migrate(t.Context(), cfg, daemon.SchemaOptions{}) // all n are 1 by now
	require.NoError(t, err)
	d.waitReady()
	require.Equal(t, 1, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.runs WHERE outcome = 'failed'"))
}

// TestAReloadInsists has a schema migration that fails until its file is corrected.
func TestAReloadInsists(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	p := newProject(t).migration(1, "CREATE TABLE users (id nonsense);")
	content := func(workers int) string {
		return fmt.Sprintf("databases: {default: {url: %q, schema: {migrations: %q}}}\nhttp: {listen: \"127.0.0.1:0\"}\nbackground_migrations: {workers: %d}\n",
			db.URL, p.migrations(), workers)
	}
	file := newConfigMap(t, content(1))
	d := startFrom(t, file.path())
	d.waitAnswer("/readyz?verbose", http.StatusServiceUnavailable, `\[-\] schema/default: .*type "nonsense" does not exist`)
	p.migration(1, "CREATE TABLE users (id bigint);")
	file.write(content(2))
	d.waitReady()
	require.Contains(t, tables(t, db), "users")
}

// TestASchemaIsVerified has somebody else bring it up.
func TestASchemaIsVerified(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	schema := twoSteps(t).schema()
	schema.OnStart = config.OnStartVerify
	cfg := configWith(db, schema)
	d := start(t, cfg)
	d.waitAnswer("/readyz?verbose", http.StatusServiceUnavailable, `\[-\] schema/default: .*2 pending: 1, 2: run bbmd migrate default`)
	require.Empty(t, tables(t, db))
	_, err := daemon.Migrate(t.Context(), cfg, daemon.SchemaOptions{})
	require.NoError(t, err)
	d.waitReady()
}

// TestASchemaMigrationWaitsForABackgroundMigration that nobody but the same daemon executes.
func TestASchemaMigrationWaitsForABackgroundMigration(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	p := newProject(t).migration(1, "CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0);")
	cfg := configWith(db, p.schema())
	_, err := daemon.Migrate(t.Context(), cfg, daemon.SchemaOptions{})
	require.NoError(t, err)
	db.Exec(t, "INSERT INTO t SELECT generate_series(1, 1000)")
	enqueue(t, db, "gate", "t", 100)
	p.write("migrations/00002_step.sql", "-- +goose Up\n-- bbmd:require finished t\nALTER TABLE t ADD CHECK (n = 1);\n")

	gate := newGate()
	d := start(t, cfg, works(t, gate.work()))
	gate.waitBegun(t)
	d.waitAnswer("/readyz?verbose", http.StatusServiceUnavailable, `\[-\] schema/default: is being brought up`)
	close(gate.open)
	d.waitReady()
	waitFinished(t, db, "t")
	require.Equal(t, 1, pgtest.One[int](t, db, "SELECT count(*) FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'c'"))
}

func TestADatabaseIsCreated(t *testing.T) {
	t.Parallel()
	more := pgtest.NewEmpty(t).Absent(t, "_more")
	schema := twoSteps(t).schema()
	schema.Create = true
	d := start(t, configWith(more, schema))
	d.waitReady()
	require.Equal(t, "goose_db_version orders users", tables(t, more))
	d.stop()
}

func TestADatabaseIsNotCreatedUnasked(t *testing.T) {
	t.Parallel()
	link, err := url.Parse(pgtest.NewEmpty(t).URL)
	require.NoError(t, err)
	link.Path = "/there_is_none"
	d := start(t, configWith(&pgtest.Database{URL: link.String()}, twoSteps(t).schema()))
	d.waitAnswer("/readyz?verbose", http.StatusServiceUnavailable, `\[-\] database/default: .*"there_is_none" does not exist`)
	d.requireAlive()
}

// recreated is a configuration file of two replicas that may recreate their database.
type recreated struct {
	t    *testing.T
	db   *pgtest.Database
	dir  string
	path string
}

func newRecreated(t *testing.T) *recreated {
	t.Helper()
	p := newProject(t).migration(1, "CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0);")
	r := &recreated{t: t, db: pgtest.NewEmpty(t), dir: p.dir, path: filepath.Join(p.dir, "bbmd.yaml")}
	r.say("")
	return r
}

// say writes the file with a value of force_recreate.
func (r *recreated) say(token string) {
	r.t.Helper()
	content := fmt.Sprintf("databases: {default: {url: %q, schema: {migrations: migrations}}}\nhttp: {listen: \"127.0.0.1:0\"}\ndevelopment_mode: true\nforce_recreate: %q\n", r.db.URL, token)
	require.NoError(r.t, os.WriteFile(r.path+".new", []byte(content), 0o600))
	require.NoError(r.t, os.Rename(r.path+".new", r.path))
}

// waitRecreated waits until the database was recreated so many times in all.
func (r *recreated) waitRecreated(times int) {
	r.t.Helper()
	r.db.WaitFor(r.t, fmt.Sprintf("SELECT count(*) = %d AND bool_and(outcome = 'finished') FROM bbm.runs WHERE action = 'recreate'", times))
}

// TestForceRecreate edits the configuration of two replicas, one of which is in the middle of a batch.
func TestForceRecreate(t *testing.T) {
	t.Parallel()
	r := newRecreated(t)
	gate := newGate()
	one, two := startFrom(t, r.path, works(t, gate.work(), bump())), startFrom(t, r.path, works(t, bump()))
	one.waitReady()
	two.waitReady()
	r.db.Exec(t, "INSERT INTO t SELECT generate_series(1, 1000)")
	enqueue(t, r.db, "gate", "t", 100)
	gate.waitBegun(t)

	r.say("first")
	r.db.WaitFor(t, "SELECT status = 'cancelled' FROM bbm.batched_background_migrations")
	require.Contains(t, pgtest.One[string](t, r.db, "SELECT status_reason FROM bbm.batched_background_migrations"), "force_recreate is first")
	close(gate.open)
	r.waitRecreated(1)
	require.Zero(t, pgtest.One[int](t, r.db, "SELECT count(*) FROM t"))
	for _, d := range []*instance{one, two} {
		d.log.waitFor(t, `msg="configuration reloaded" changed=\[force_recreate\]`)
		d.waitReady()
		d.requireAlive()
	}

	r.db.Exec(t, "INSERT INTO t SELECT generate_series(1, 1000); DELETE FROM bbm.batched_background_migrations")
	enqueue(t, r.db, "bump", "t", 100)
	waitFinished(t, r.db, "t")
	one.stop()
	two.stop()
	again := startFrom(t, r.path)
	again.waitReady()
	require.Equal(t, 1000, pgtest.One[int](t, r.db, "SELECT count(*) FROM t"), "the same token does nothing again")
	require.Equal(t, 1, pgtest.One[int](t, r.db, "SELECT count(*) FROM bbm.runs WHERE action = 'recreate'"))
}

// TestForceRecreateTrue is on, off and on again.
func TestForceRecreateTrue(t *testing.T) {
	t.Parallel()
	r := newRecreated(t)
	r.say("true")
	d := startFrom(t, r.path)
	d.waitReady()
	r.waitRecreated(1)
	r.say("false")
	r.db.WaitFor(t, "SELECT count(*) = 0 FROM bbm.force_recreate_tokens")
	r.say("true")
	r.waitRecreated(2)
	d.waitReady()
}

// TestForceRecreateIsRefused shows that a database which is marked as production stays as it is,
// and that the event alone makes the daemon look again.
func TestForceRecreateIsRefused(t *testing.T) {
	t.Parallel()
	r := newRecreated(t)
	d := startFrom(t, r.path)
	d.waitReady()
	r.db.Exec(t, "INSERT INTO t SELECT generate_series(1, 10); SELECT bbm.mark_production('real')")
	r.say("now")
	d.log.waitFor(t, `level=ERROR msg="force_recreate refused" database=default token=now error=".*marked as production`)
	events := func() float64 { return d.metric(`bbmd_events_total{channel="bbm_force_recreate",database="default"}`) }
	require.Eventually(t, func() bool { return events() == 1 }, patience, time.Millisecond, "its own announcement")
	d.waitReady()
	require.Equal(t, 10, pgtest.One[int](t, r.db, "SELECT count(*) FROM t"))
	r.db.Exec(t, "SELECT bbm.unmark_production(); NOTIFY bbm_force_recreate")
	r.waitRecreated(1)
	require.Eventually(t, func() bool { return events() == 2 }, patience, time.Millisecond, "what it hears, it does not say again")
	d.waitReady()
	require.Equal(t, 1, strings.Count(d.log.String(), "force_recreate refused"))
}
