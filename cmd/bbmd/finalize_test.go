package main_test

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestFinalizeCommand(t *testing.T) {
	t.Parallel()
	db := users(t, 5000)
	require.Zero(t, on(t, db, "enqueue", "execute_sql", "users", "--name", "m", "--batch-size", "100", "--target-duration", "0", "--set", addOne).code)
	db.Exec(t, `UPDATE bbm.batched_background_migrations SET throttle = '{"duty": 0}'`)

	got := on(t, db, "finalize", "m", "--workers", "2")
	require.Zero(t, got.code, got.err)
	lines := strings.Split(strings.TrimSpace(got.out), "\n")
	require.Regexp(t, `^\d\d:\d\d:\d\d  m  finished    100%  5,000 rows  took \d`, lines[len(lines)-1])
	require.Empty(t, got.err)
	require.Equal(t, 5000, pgtest.One[int](t, db, "SELECT count(*) FROM users WHERE n = 1"))

	got = on(t, db, "finalize", "m", "-o", "json")
	require.Zero(t, got.code, got.err)
	var p control.Progress
	require.NoError(t, json.Unmarshal([]byte(got.out), &p))
	require.Equal(t, "finished", p.Status)
}

func TestFinalizeCommandsExitCodes(t *testing.T) {
	t.Parallel()
	db := users(t, 100)
	enqueue := func(name, sql string, more ...string) {
		t.Helper()
		require.Zero(t, on(t, db, append([]string{"enqueue", "execute_sql", "users", "--name", name, "--set", "sql=" + sql}, more...)...).code)
	}
	enqueue("bad", "UPDATE users SET n = 1 / (id - 50) WHERE :range", "--max-attempts", "1")
	enqueue("paused", "UPDATE users SET n = n + 1 WHERE :range", "--paused")
	enqueue("waiting", "UPDATE users SET n = n + 1 WHERE :range", "--depends-on", "paused")

	got := on(t, db, "finalize", "bad")
	require.Equal(t, 65, got.code)
	require.Contains(t, got.err, "division by zero")
	require.Contains(t, got.err, "mend the cause, then `bbmd retry bad`")

	got = on(t, db, "finalize", "paused")
	require.Equal(t, 73, got.code)
	require.Equal(t, "bbmd: refused: migration \"paused\" is paused: `bbmd resume paused` lets it go on\n", got.err)

	got = on(t, db, "finalize", "waiting", "--timeout", "3s")
	require.Equal(t, 4, got.code)
	require.Contains(t, got.out, "waits for paused (paused) to finish")
	require.Contains(t, got.err, `migration "waiting": not over in time`)

	got = on(t, db, "finalize", "wating")
	require.Equal(t, 2, got.code)
	require.Contains(t, got.err, `did you mean "waiting"?`)
	require.Equal(t, 2, on(t, db, "finalize").code)
}

func TestFinalizeCommandIsInterrupted(t *testing.T) {
	t.Parallel()
	db := users(t, 100)
	require.Zero(t, on(t, db, "enqueue", "execute_sql", "users", "--name", "m", "--batch-size", "1", "--target-duration", "0",
		"--set", "sql=UPDATE users SET n = n + 1 WHERE :range AND pg_sleep(0.05) IS NOT NULL").code)
	p := spawn(t, databaseURL(db), "finalize", "m")
	db.WaitFor(t, "SELECT count(*) > 2 FROM users WHERE n = 1")
	p.signal(syscall.SIGINT)
	require.Equal(t, 130, p.wait())
	require.Contains(t, p.err.String(), "interrupted: what is done stays done, and the rest was given back")
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.batched_background_migration_jobs WHERE status = 'running'"))
}
