package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// project is a directory with the migrations and the models of a service.
type project struct {
	t   *testing.T
	dir string
}

func newProject(t *testing.T) project {
	t.Helper()
	p := project{t: t, dir: t.TempDir()}
	require.NoError(t, os.Mkdir(p.migrations(), 0o700))
	return p
}

func (p project) migrations() string { return filepath.Join(p.dir, "migrations") }

// migration writes the n-th migration of goose's.
func (p project) migration(n int, sql string) project {
	p.t.Helper()
	p.write(fmt.Sprintf("migrations/%05d_step.sql", n), "-- +goose Up\n"+sql+"\n")
	return p
}

func (p project) write(name, content string) {
	p.t.Helper()
	require.NoError(p.t, os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o600))
}

// twoSteps are two tables, in two migrations.
func twoSteps(t *testing.T) project {
	t.Helper()
	return newProject(t).migration(1, "CREATE TABLE users (id bigint PRIMARY KEY);").migration(2, "CREATE TABLE orders (id bigint PRIMARY KEY);")
}

// schema returns what the configuration says of a database that this project is about.
func (p project) schema() config.Schema {
	s := config.DefaultSchema()
	s.Migrations = p.migrations()
	return s
}

// configWith returns a configuration of a database with a schema.
func configWith(db *pgtest.Database, schema config.Schema) daemon.Config {
	cfg := configOf(nil)
	cfg.Databases["default"] = daemon.Database{URL: daemon.URL(db.URL), Schema: schema}
	return cfg
}

func tables(t *testing.T, db *pgtest.Database) string {
	t.Helper()
	return pgtest.One[string](t, db, "SELECT coalesce(string_agg(relname, ' ' ORDER BY relname), '') FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
}

func TestMigrateManyDatabases(t *testing.T) {
	t.Parallel()
	fresh, behind, foreign := pgtest.NewEmpty(t), pgtest.NewEmpty(t), pgtest.NewEmpty(t)
	p := twoSteps(t)
	cfg := configOf(nil)
	for name, db := range map[string]*pgtest.Database{"fresh": fresh, "behind": behind, "foreign": foreign} {
		cfg.Databases[name] = daemon.Database{URL: daemon.URL(db.URL), Schema: p.schema()}
	}
	cfg.Databases["plain"] = daemon.Database{URL: "host=nowhere.invalid"}
	require.Equal(t, []string{"behind", "foreign", "fresh"}, daemon.SchemaDatabases(cfg))
	one := newProject(t).migration(1, "CREATE TABLE users (id bigint PRIMARY KEY);")
	_, err := daemon.Migrate(t.Context(), configWith(behind, one.schema()), daemon.SchemaOptions{})
	require.NoError(t, err)
	foreign.Exec(t, "CREATE TABLE something (else_ int)")

	planned, err := daemon.Plan(t.Context(), cfg, daemon.SchemaOptions{})
	require.NoError(t, err)
	states := map[string]initialize.State{}
	for _, o := range planned {
		states[o.Database] = o.Finding.State
	}
	require.Equal(t, map[string]initialize.State{"behind": initialize.Versioned, "foreign": initialize.Unversioned, "fresh": initialize.Empty}, states)
	require.Empty(t, tables(t, fresh), "a plan changes nothing")

	outcomes, err := daemon.Migrate(t.Context(), cfg, daemon.SchemaOptions{Parallel: 2})
	require.ErrorContains(t, err, "database foreign: UNVERSIONED: ")
	require.Equal(t, "behind", outcomes[0].Database)
	require.NoError(t, outcomes[0].Err)
	require.Equal(t, []string{"1"}, outcomes[0].Result.From)
	require.Equal(t, []string{"2"}, outcomes[0].Result.To)
	refused, ok := errors.AsType[*daemon.RefusalError](outcomes[1].Err)
	require.True(t, ok, "%v", outcomes[1].Err)
	require.Equal(t, initialize.RefusedDifferent, refused.Refusal)
	require.Equal(t, initialize.ActMigrate, outcomes[2].Result.Action)
	for _, db := range []*pgtest.Database{fresh, behind} {
		require.Equal(t, "goose_db_version orders users", tables(t, db))
	}
	require.Equal(t, "something", tables(t, foreign))

	outcomes, err = daemon.Migrate(t.Context(), cfg, daemon.SchemaOptions{Databases: []string{"fresh", "behind"}})
	require.NoError(t, err)
	for _, o := range outcomes {
		require.False(t, o.Result.Changed(), "%+v", o)
	}
}

func TestMigrateWhichDatabases(t *testing.T) {
	t.Parallel()
	cfg := configOf(map[string]string{"plain": "host=nowhere.invalid"})
	_, err := daemon.Migrate(t.Context(), cfg, daemon.SchemaOptions{})
	require.ErrorContains(t, err, "no database has a schema: set schema.migrations")
	_, err = daemon.Plan(t.Context(), cfg, daemon.SchemaOptions{Databases: []string{"plain", "other"}})
	require.ErrorContains(t, err, "database plain has no schema: set")
	require.ErrorContains(t, err, `no database "other" in the configuration: it has plain`)
}

func TestAnUnreachableDatabaseStopsNoOther(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	cfg := configWith(db, twoSteps(t).schema())
	cfg.Databases["away"] = daemon.Database{URL: "postgres://u:hunter2@127.0.0.1:1/x?sslmode=disable", Schema: twoSteps(t).schema()}
	outcomes, err := daemon.Migrate(t.Context(), cfg, daemon.SchemaOptions{Parallel: 1})
	require.ErrorContains(t, err, "database away: ")
	require.NotContains(t, err.Error(), "hunter2")
	require.Equal(t, initialize.KindUnreachable, initialize.KindOf(outcomes[0].Err))
	require.NoError(t, outcomes[1].Err)
	require.Contains(t, tables(t, db), "orders")
}

func TestBaselineStampAndReset(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	db.Exec(t, "CREATE TABLE users (id bigint PRIMARY KEY); INSERT INTO users VALUES (1)")
	p := newProject(t).migration(1, "CREATE TABLE users (id bigint PRIMARY KEY);")
	cfg := configWith(db, p.schema())

	outcomes, err := daemon.Baseline(t.Context(), cfg, daemon.BaselineRequest{Prove: true}, daemon.SchemaOptions{})
	require.NoError(t, err)
	require.Equal(t, initialize.ActBaseline, outcomes[0].Result.Action)
	require.Equal(t, []string{"1"}, outcomes[0].Result.To)
	require.Equal(t, 1, pgtest.One[int](t, db, "SELECT count(*) FROM users"))

	p.migration(2, "CREATE TABLE orders (id bigint PRIMARY KEY);")
	_, err = daemon.VerifyAll(t.Context(), cfg, daemon.SchemaOptions{})
	pending, ok := errors.AsType[*daemon.PendingError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, []string{"2"}, pending.Pending)
	_, err = daemon.Stamp(t.Context(), cfg, "2", daemon.SchemaOptions{})
	require.NoError(t, err)
	outcomes, err = daemon.VerifyAll(t.Context(), cfg, daemon.SchemaOptions{})
	require.NoError(t, err)
	require.Equal(t, initialize.Versioned, outcomes[0].Finding.State)

	_, err = daemon.Reset(t.Context(), cfg, daemon.SchemaOptions{})
	require.ErrorContains(t, err, "development_mode")
	cfg.DevelopmentMode = true
	_, err = daemon.Reset(t.Context(), cfg, daemon.SchemaOptions{})
	require.NoError(t, err)
	require.Equal(t, "goose_db_version orders users", tables(t, db))
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM users"))
	require.Equal(t, []string{"baseline", "stamp", "recreate"}, pgtest.Column[string](t, db, "SELECT action FROM bbm.runs ORDER BY id"))
}

func TestVerifyForServices(t *testing.T) {
	t.Parallel()
	db, other := pgtest.NewEmpty(t), pgtest.NewEmpty(t)
	p := twoSteps(t)
	cfg := configWith(db, p.schema())
	pool := db.Pool(t)
	err := daemon.Verify(t.Context(), pool, cfg)
	pending, ok := errors.AsType[*daemon.PendingError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, initialize.Empty, pending.State)
	require.Empty(t, tables(t, db))
	cfg.SchemaMigrations.SkipVersionCheck = true
	require.NoError(t, daemon.Verify(t.Context(), pool, cfg))
	cfg.SchemaMigrations.SkipVersionCheck = false

	cfg.Databases["other"] = daemon.Database{URL: daemon.URL(other.URL), Schema: p.schema()}
	_, err = daemon.Migrate(t.Context(), cfg, daemon.SchemaOptions{Databases: []string{"other"}})
	require.NoError(t, err)
	require.NoError(t, daemon.Verify(t.Context(), other.Pool(t), cfg), "it is told by where the pool leads")
	require.ErrorContains(t, daemon.Verify(t.Context(), pool, cfg), "database default: ")
	require.ErrorContains(t, daemon.Verify(t.Context(), pgtest.NewEmpty(t).Pool(t), cfg), "is none of the databases default, other")

	require.NoError(t, os.Remove(filepath.Join(p.migrations(), "00002_step.sql")))
	require.NoError(t, daemon.Verify(t.Context(), other.Pool(t), cfg), "an older release runs on a newer database")
}

// TestMigrateFinalizesWhatASchemaMigrationRequires has a schema migration that waits for a
// background migration.
func TestMigrateFinalizesWhatASchemaMigrationRequires(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 1000)
	p := newProject(t).migration(1, "CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0);")
	cfg := configWith(db, p.schema())
	_, err := daemon.Baseline(t.Context(), cfg, daemon.BaselineRequest{}, daemon.SchemaOptions{})
	require.NoError(t, err)
	enqueue(t, db, "bump", "t", 100)
	p.write("migrations/00002_step.sql", "-- +goose Up\n-- bbmd:require finished t\nALTER TABLE t ADD CHECK (n = 1);\n")

	_, err = daemon.Migrate(t.Context(), cfg, daemon.SchemaOptions{Finalize: true, Works: bumpRegistry(t)})
	require.NoError(t, err)
	waitFinished(t, db, "t")
}

func TestMigrateEndsWithItsContext(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	p := newProject(t).migration(1, "SELECT pg_sleep(300);")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := daemon.Migrate(ctx, configWith(db, p.schema()), daemon.SchemaOptions{})
		done <- err
	}()
	db.WaitFor(t, "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()")
	cancel()
	select {
	case err := <-done:
		require.Error(t, err)
	case <-time.After(patience):
		require.FailNow(t, "it does not end")
	}
	require.False(t, strings.Contains(tables(t, db), "users"))
}
