package daemon_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/plugins"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// bumpFile is bump in SQL, whose batch with the row 500 waits for an advisory lock.
const bumpFile = `-- bbmd: work bump_file
-- bbmd: table public.t
-- bbmd: param by integer = 1
-- bbmd: section run
UPDATE public.t SET n = n + :by WHERE :range AND (id <> 500 OR pg_advisory_xact_lock_shared(9) IS NOT NULL);
`

// withPlugin returns a configuration with a directory of plugins, that has bumpFile.
func withPlugin(t *testing.T, db *pgtest.Database) (cfg daemon.Config, path string) {
	t.Helper()
	cfg = configFor(t, db)
	cfg.Plugins.Dir = t.TempDir()
	require.NoError(t, os.Chmod(cfg.Plugins.Dir, 0o755))
	path = filepath.Join(cfg.Plugins.Dir, "bump.sql")
	replace(t, path, bumpFile)
	return cfg, path
}

// replace makes a file whole at once.
func replace(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path+".new", []byte(content), 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

func TestPluginThatIsEditedStopsItsMigration(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 1000)
	gate := db.Conn(t)
	exec := func(conn *pgx.Conn, sql string) {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	exec(gate, "SELECT pg_advisory_lock(9)")
	cfg, path := withPlugin(t, db)
	i := start(t, cfg)
	enqueue(t, db, "bump_file", "t", 10)
	db.WaitFor(t, "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 9 AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))")

	edited := bumpFile + "-- edited\n"
	replace(t, path, edited)
	i.log.waitFor(t, "plugin loaded.*digest="+plugins.Digest([]byte(edited)))
	for n := i.scans(); i.scans() < n+2; { // the one that is under way may not know it yet
		seen := i.scans()
		db.Exec(t, "SELECT pg_notify('bbm_status', '')")
		require.Eventually(t, func() bool { return i.scans() > seen }, patience, 5*time.Millisecond)
	}
	exec(gate, "SELECT pg_advisory_unlock(9)")
	db.WaitFor(t, "SELECT coalesce(status_reason, '') LIKE '%bbmd plugins approve bump_file' FROM bbm.batched_background_migrations")
	require.Positive(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n = 0"), "it has stopped before the end")

	names, err := control.Store{}.Approve(t.Context(), db.Conn(t), "bump_file", plugins.Digest([]byte(edited)))
	require.NoError(t, err)
	require.Len(t, names, 1)
	waitFinished(t, db, "t")
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n <> 1"))
}

func TestPluginThatComesLate(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 100)
	cfg, path := withPlugin(t, db)
	require.NoError(t, os.Remove(path))
	i := start(t, cfg)
	enqueue(t, db, "bump_file", "t", 10)
	db.WaitFor(t, "SELECT coalesce(status_reason, '') LIKE 'unknown work \"bump_file\"%' FROM bbm.batched_background_migrations")
	replace(t, path, "-- bbmd: work bump_file\n-- bbmd: table public.t\n-- bbmd: section run\nUPDATE public.t SET m = 1 WHERE :range")
	i.log.waitFor(t, "plugin would be refused by the database.*statement of line 4: ERROR: column .*m.* does not exist")
}

func TestPluginInFinalizeAndDryRun(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 100)
	cfg, path := withPlugin(t, db)
	enqueue(t, db, "bump_file", "t", 10)
	name := pgtest.One[string](t, db, "SELECT name FROM bbm.batched_background_migrations")
	report, err := daemon.DryRun(t.Context(), cfg, "default", daemon.DryRunOptions{Name: name, Batches: 2})
	require.NoError(t, err)
	require.NotNil(t, report)
	require.Equal(t, 100, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n = 0"))

	progress, err := daemon.Finalize(t.Context(), cfg, "default", name, daemon.FinalizeOptions{})
	require.NoError(t, err)
	require.Equal(t, control.StatusFinished, progress.Status)
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n <> 1"))

	catalog, closeAll, err := daemon.Plugins(t.Context(), cfg, nil, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	work, err := catalog.Lookup("bump_file")
	require.NoError(t, err)
	require.Equal(t, plugins.Digest([]byte(bumpFile)), work.Digest)
	require.NoError(t, closeAll())
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Remove(cfg.Plugins.Dir))
	_, _, err = daemon.Plugins(t.Context(), cfg, nil, nil)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestFinalizeRefusesAnotherContent(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 100)
	cfg, _ := withPlugin(t, db)
	enqueue(t, db, "bump_file", "t", 10)
	db.Exec(t, `UPDATE bbm.batched_background_migrations SET table_oid = 't'::regclass, key_columns = '{id}', key_types = '{bigint}',
		work_version = 1, work_digest = 'sha256:0', min_value = '1', max_value = '100'`)
	name := pgtest.One[string](t, db, "SELECT name FROM bbm.batched_background_migrations")
	_, err := daemon.Finalize(t.Context(), cfg, "default", name, daemon.FinalizeOptions{})
	require.ErrorIs(t, err, daemon.ErrNotRunnable)
	require.ErrorContains(t, err, "bbmd plugins approve bump_file")
}

// TestPluginsReloadOnAnEvent asks by both sources of events.
func TestPluginsReloadOnAnEvent(t *testing.T) {
	t.Parallel()
	for _, events := range []config.EventSource{config.EventsNotify, config.EventsWAL} {
		t.Run(string(events), func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			if events == config.EventsWAL {
				db = pgtest.NewServer(t, pgserver.Options{Settings: map[string]string{"wal_level": "logical"}}).New(t).As(t, pgtest.Streamer)
			}
			cfg, _ := withPlugin(t, db)
			cfg.Events = events
			i := start(t, cfg)
			i.waitReady()
			listening, err := daemon.ReloadPlugins(t.Context(), db.Conn(t))
			require.NoError(t, err)
			if events == config.EventsWAL && db.Major(t) < 14 {
				require.Zero(t, listening, "it cannot be told, and nobody says that it was")
				return
			}
			require.Equal(t, 1, listening)
			i.log.waitFor(t, "plugins loaded again, as somebody has asked")
		})
	}
}
