package daemon_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// configMap is a directory as Kubernetes mounts a ConfigMap: the file is a link through
// a link that a change replaces.
type configMap struct {
	t        *testing.T
	dir      string
	versions int
}

func newConfigMap(t *testing.T, content string) *configMap {
	t.Helper()
	c := &configMap{t: t, dir: t.TempDir()}
	c.write(content)
	require.NoError(t, os.Symlink("..data/bbmd.yaml", c.path()))
	return c
}

func (c *configMap) path() string { return filepath.Join(c.dir, "bbmd.yaml") }

func (c *configMap) write(content string) {
	c.t.Helper()
	c.versions++
	version := fmt.Sprintf("..v%d", c.versions)
	require.NoError(c.t, os.Mkdir(filepath.Join(c.dir, version), 0o700))
	require.NoError(c.t, os.WriteFile(filepath.Join(c.dir, version, "bbmd.yaml"), []byte(content), 0o600))
	require.NoError(c.t, os.Symlink(version, filepath.Join(c.dir, "..data_tmp")))
	require.NoError(c.t, os.Rename(filepath.Join(c.dir, "..data_tmp"), filepath.Join(c.dir, "..data")))
}

// startFrom runs a daemon that reads its configuration from the file, and nothing else.
func startFrom(t *testing.T, path string, opts ...daemon.Option) *instance {
	t.Helper()
	sources := daemon.Sources{File: path, Environ: []string{}}
	cfg, err := daemon.LoadConfig(sources)
	require.NoError(t, err)
	return start(t, cfg, append([]daemon.Option{daemon.WithReload(sources)}, opts...)...)
}

func TestReload(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	content := func(workers int, rest string) string {
		return fmt.Sprintf("databases: {default: {url: %q}}\nhttp: {listen: \"127.0.0.1:0\"}\nbackground_migrations: {workers: %d}\n%s\n", db.URL, workers, rest)
	}
	file := newConfigMap(t, content(1, ""))
	gate := newGate()
	d := startFrom(t, file.path(), works(t, gate.work()))
	d.waitReady()
	for _, table := range []string{"t", "u"} {
		rows(t, db, table, 100)
		enqueue(t, db, "gate", table, 100)
	}
	gate.waitBegun(t)
	require.Empty(t, gate.begun, "there is one worker")

	file.write(content(2, "log: {level: debug}\ncontrol_schema: other"))
	gate.waitBegun(t)
	d.log.waitFor(t, `msg="configuration reloaded" changed="\[background_migrations.workers log.level\]"`)
	d.log.waitFor(t, `level=WARN msg="keys of the configuration changed that take effect with the next start" keys=\[control_schema\]`)

	file.write("workers: many")
	d.log.waitFor(t, `level=ERROR msg="configuration not reloaded" error="reload configuration, the old one stays in force: .*workers`)
	require.Equal(t, 0.0, d.metric("bbmd_config_last_reload_successful"))

	file.write(content(2, "log: {level: debug}"))
	require.Eventually(t, func() bool { return d.metric("bbmd_config_last_reload_successful") == 1 }, patience, patience/1000)
	close(gate.open)
	waitFinished(t, db, "t")
	waitFinished(t, db, "u")
	d.log.waitFor(t, "level=DEBUG")
	require.NotContains(t, d.log.String(), passwordOf(t, db.URL))
}

func passwordOf(t *testing.T, url string) string {
	t.Helper()
	cfg, err := pgconn.ParseConfig(url)
	require.NoError(t, err)
	require.NotEmpty(t, cfg.Password)
	return cfg.Password
}

// TestReloadSwitchesOffAndOn shows that running batches finish when background
// migrations are switched off, and the rest waits.
func TestReloadSwitchesOffAndOn(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	content := func(enabled bool) string {
		return fmt.Sprintf("databases: {default: {url: %q}}\nhttp: {listen: \"127.0.0.1:0\"}\nbackground_migrations: {enabled: %v}\n", db.URL, enabled)
	}
	rows(t, db, "t", 1000)
	file := newConfigMap(t, content(true))
	gate := newGate()
	d := startFrom(t, file.path(), works(t, gate.work()))
	enqueueWhenReady(t, d, db)
	gate.waitBegun(t)
	file.write(content(false))
	d.log.waitFor(t, `msg="configuration reloaded" changed=\[background_migrations.enabled\]`)
	close(gate.open)
	db.WaitFor(t, "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bbmd/default/t'")
	require.Equal(t, 100, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n = 1"))

	file.write(content(true))
	waitFinished(t, db, "t")
}

// TestASecretIsRotated changes a role's password, and ends the sessions that still have the old one.
func TestASecretIsRotated(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	role := db.Name
	db.Superuser(t).Exec(t, "CREATE ROLE "+role+" IN ROLE "+pgtest.Worker+" LOGIN PASSWORD 'first'")
	t.Cleanup(func() { dropRole(t, db, role) })
	secret := filepath.Join(t.TempDir(), "url")
	write := func(password string) {
		cfg, err := pgconn.ParseConfig(db.URL)
		require.NoError(t, err)
		url := fmt.Sprintf("host=%s port=%d dbname=%s user=%s password=%s sslmode=disable\n", cfg.Host, cfg.Port, cfg.Database, role, password)
		require.NoError(t, os.WriteFile(secret+".new", []byte(url), 0o600))
		require.NoError(t, os.Rename(secret+".new", secret))
	}
	write("first")
	cfg := configFor(t, db)
	cfg.Databases["default"] = daemon.Database{URLFile: secret}
	d := start(t, cfg)
	d.waitReady()

	db.Superuser(t).Exec(t, "ALTER ROLE "+role+" PASSWORD 'second'")
	db.Superuser(t).Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", role)
	d.log.waitFor(t, "password authentication failed")
	write("second")
	rows(t, db, "t", 1000)
	enqueue(t, db, "bump", "t", 100)
	waitFinished(t, db, "t")
	d.waitReady()
}

// dropRole removes a role that a test made, with what it owns in the database.
func dropRole(t *testing.T, db *pgtest.Database, role string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, db.Superuser(t).URL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, fmt.Sprintf(`DO $$ BEGIN
		WHILE EXISTS (SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '%s') LOOP
			PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
		END LOOP;
	END $$; DROP OWNED BY %[1]s CASCADE; DROP ROLE %[1]s`, role))
	require.NoError(t, err)
}
