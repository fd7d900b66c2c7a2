package daemon_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/plugins"
	"github.com/bbmd-dev/bbmd/testing/need"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// bumpManifest and bumpProgram are bump as a program, which says who it is. Its batch
// with the row 50 waits for an advisory lock.
const (
	bumpManifest = `{"protocol": 1, "name": "editable", "version": "1", "command": ["python3", "run.py"], "works": [{"name": "bump_program"}]}`
	bumpProgram  = `import json, sys
for line in sys.stdin:
    m = json.loads(line)
    if m["type"] == "init":
        answer = {"type": "hello", "protocol": 1, "name": "editable", "version": "1", "works": ["bump_program"]}
    elif m["type"] == "batch":
        sql = ("UPDATE public.t SET n = n + 1, by = 'first' WHERE " + m["where"]
               + " AND (id <> 50 OR pg_advisory_xact_lock_shared(9) IS NOT NULL)")
        answer = {"type": "done", "id": m["id"], "affected": None, "statements": [{"sql": sql, "args": m["args"]}]}
    else:
        continue
    print(json.dumps(answer), flush=True)
`
)

// vouch writes the lock file for the plugin as it is now, and returns its digest.
func vouch(t *testing.T, dir, lock string) string {
	t.Helper()
	opened, err := plugins.OpenDir(dir)
	require.NoError(t, err)
	digest, err := opened.Digest("editable")
	require.NoError(t, err)
	require.NoError(t, opened.Close())
	require.NoError(t, plugins.Lock{"editable": {Kind: plugins.KindProcess, Digest: digest}}.Write(lock))
	return digest
}

// TestProgramThatIsEditedStopsItsMigration edits a program in the middle of a migration. It stops, says how to go
// on at each step, and goes on with what was vouched for and approved: each row by one of both, once.
func TestProgramThatIsEditedStopsItsMigration(t *testing.T) {
	t.Parallel()
	need.Program(t, "python3")
	db := pgtest.New(t)
	rows(t, db, "t", 200)
	db.Exec(t, "ALTER TABLE t ADD COLUMN by text")
	gate := db.Conn(t)
	_, err := gate.Exec(t.Context(), "SELECT pg_advisory_lock(9)")
	require.NoError(t, err)
	cfg := configFor(t, db)
	base := t.TempDir()
	require.NoError(t, os.Chmod(base, 0o755))
	cfg.Plugins.Dir, cfg.Plugins.Lock = filepath.Join(base, "plugins.d"), filepath.Join(base, "plugins.lock")
	program := filepath.Join(cfg.Plugins.Dir, "editable", "run.py")
	require.NoError(t, os.MkdirAll(filepath.Dir(program), 0o755))
	put := func(path, content string) {
		fresh := filepath.Join(base, "fresh") // whole at once, and never a part of the plugin
		require.NoError(t, os.WriteFile(fresh, []byte(content), 0o600))
		require.NoError(t, os.Rename(fresh, path))
	}
	put(filepath.Join(cfg.Plugins.Dir, "editable", "plugin.json"), bumpManifest)
	put(program, bumpProgram)
	first := vouch(t, cfg.Plugins.Dir, cfg.Plugins.Lock)
	start(t, cfg)
	enqueue(t, db, "bump_program", "t", 10)
	db.WaitFor(t, "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 9 AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))")
	require.Equal(t, first, pgtest.One[string](t, db, "SELECT work_digest FROM bbm.batched_background_migrations"))

	put(program, strings.ReplaceAll(bumpProgram, "'first'", "'second'"))
	says := func(what string) {
		t.Helper()
		db.WaitFor(t, "SELECT coalesce(status_reason, '') LIKE $1 FROM bbm.batched_background_migrations", "%"+what+"%")
	}
	// Nobody vouches for it: it is not run, and the worker that was at it ends after its batch.
	says("bbmd plugins lock --update editable")
	_, err = gate.Exec(t.Context(), "SELECT pg_advisory_unlock(9)")
	require.NoError(t, err)
	second := vouch(t, cfg.Plugins.Dir, cfg.Plugins.Lock)
	require.NotEqual(t, first, second)
	says("bbmd plugins approve bump_program")
	require.Positive(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n = 0"), "it has stopped before the end")
	require.Positive(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n = 1"))

	names, err := control.Store{}.Approve(t.Context(), db.Conn(t), "bump_program", second)
	require.NoError(t, err)
	require.Len(t, names, 1)
	waitFinished(t, db, "t")
	require.Equal(t, []string{"first", "second"}, pgtest.Column[string](t, db, "SELECT DISTINCT by FROM t ORDER BY 1"))
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE by IS NULL"))
}
