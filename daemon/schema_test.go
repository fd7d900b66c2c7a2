package daemon_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestTheControlSchemaIsInstalled(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	cfg := configOf(map[string]string{"default": db.URL})
	cfg.ControlSchema = "elsewhere"
	d := start(t, cfg)
	d.waitReady()
	rows(t, db, "t", 1000)
	db.Exec(t, `SELECT "elsewhere".enqueue('bump', 't', name => 't')`)
	db.WaitFor(t, `SELECT status = 'finished' FROM "elsewhere".batched_background_migrations`)
}

// TestTheControlSchemaIsTooNew shows that a replica which cannot understand the control
// schema waits, and says so.
func TestTheControlSchemaIsTooNew(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 1000)
	db.Exec(t, "INSERT INTO bbm.versions (version, oldest_compatible) VALUES (999, 999)")
	enqueue(t, db, "bump", "t", 100)
	d := start(t, configFor(t, db))
	d.waitAnswer("/readyz?verbose", http.StatusServiceUnavailable, `\[-\] control_schema/default: control schema is newer than this bbmd: `)
	d.requireAlive()
	require.Equal(t, "active", pgtest.One[string](t, db, "SELECT status FROM bbm.batched_background_migrations"))

	db.Exec(t, "DELETE FROM bbm.versions WHERE version = 999")
	waitFinished(t, db, "t")
	d.waitReady()
}

// TestTheControlSchemaIsUpgradedUnderneath shows that a replica looks again after a lost
// connection, and stops working on what it does not understand any more.
func TestTheControlSchemaIsUpgradedUnderneath(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 1000)
	d := start(t, configFor(t, db))
	d.waitReady()
	db.Exec(t, "INSERT INTO bbm.versions (version, oldest_compatible) VALUES (999, 999)")
	db.Superuser(t).Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bbmd/listener'")
	d.waitAnswer("/readyz?verbose", http.StatusServiceUnavailable, `\[-\] control_schema/default: control schema is newer`)
	d.waitAnswer("/readyz?verbose", http.StatusServiceUnavailable, `\[\+\] listener/default`)
	enqueue(t, db, "bump", "t", 100)
	require.Eventually(t, func() bool {
		return d.metric(`bbmd_events_total{channel="bbm_new",database="default"}`) == 1
	}, patience, patience/1000)
	require.Equal(t, "active", pgtest.One[string](t, db, "SELECT status FROM bbm.batched_background_migrations"))

	db.Exec(t, "DELETE FROM bbm.versions WHERE version = 999")
	waitFinished(t, db, "t")
	d.waitReady()
}

// TestTheControlSchemaIsUpgradedBySomebody shows that a replica hears of it, though no connection is lost.
func TestTheControlSchemaIsUpgradedBySomebody(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	d := start(t, configOf(map[string]string{"default": db.URL}))
	d.waitReady()
	db.Exec(t, "DROP SCHEMA bbm CASCADE")
	require.NoError(t, control.Install(t.Context(), db.Conn(t), ""))
	d.log.waitFor(t, `(?s)"database up".*"database up"`)
	d.waitReady()

	db.Exec(t, "INSERT INTO bbm.versions (version, oldest_compatible) VALUES (999, 999)")
	db.Exec(t, "SELECT pg_notify('bbm_status', $1)", control.InstalledHint)
	d.waitAnswer("/readyz?verbose", http.StatusServiceUnavailable, `\[-\] control_schema/default: control schema is newer`)
}

// TestTheControlSchemaIsRestored shows that a database that came back without the control
// schema gets it again.
func TestTheControlSchemaIsRestored(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	d := start(t, configOf(map[string]string{"default": db.URL}))
	d.waitReady()
	db.Exec(t, "DROP SCHEMA bbm CASCADE")
	db.Superuser(t).Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'bbmd/%'")
	db.WaitFor(t, "SELECT to_regprocedure('bbm.retry(text)') IS NOT NULL")
	rows(t, db, "t", 1000)
	enqueue(t, db, "bump", "t", 100)
	waitFinished(t, db, "t")
	d.waitReady()
}

func TestARoleWithoutPrivileges(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	db.Superuser(t).Exec(t, "CREATE ROLE "+db.Name+" LOGIN PASSWORD 'secret'")
	t.Cleanup(func() { dropRole(t, db, db.Name) })
	parsed, err := url.Parse(db.URL)
	require.NoError(t, err)
	parsed.User = url.UserPassword(db.Name, "secret")
	d := start(t, configOf(map[string]string{"default": parsed.String()}))
	d.waitAnswer("/readyz?verbose", http.StatusServiceUnavailable, `\[-\] control_schema/default: .*permission denied`)
	d.requireAlive()
	require.LessOrEqual(t, strings.Count(d.log.String(), "permission denied"), 1, "the same reason is told once")

	db.Exec(t, "GRANT CREATE ON DATABASE "+db.Name+" TO "+db.Name)
	d.waitReady()
}

func TestAConfigurationThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := daemon.New(daemon.DefaultConfig())
	require.ErrorContains(t, err, "no database is configured")

	cfg := configOf(map[string]string{"default": "postgres://h/db"})
	cfg.BackgroundMigrations.Workers = 0
	cfg.ControlSchema = ""
	_, err = daemon.New(cfg)
	require.ErrorContains(t, err, "control_schema")
	require.ErrorContains(t, err, "background_migrations.workers")
}

func TestThePortIsTaken(t *testing.T) {
	t.Parallel()
	cfg := configFor(t, pgtest.NewEmpty(t))
	first := start(t, cfg)
	cfg.HTTP.Listen = first.Addr().String()
	second, err := daemon.New(cfg)
	require.NoError(t, err)
	require.ErrorContains(t, second.Run(t.Context()), "address already in use")
}
