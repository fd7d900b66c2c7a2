package main_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// runDaemon starts `bbmd run` and returns it with the address of its probes.
func runDaemon(t *testing.T, env []string, args ...string) (p *process, address string) {
	t.Helper()
	p = spawn(t, append(env, "BBMD_HTTP__LISTEN=127.0.0.1:0"), append([]string{"run"}, args...)...)
	return p, "http://" + p.waitLog(`"serving probes and metrics","address":"([^"]+)"`)
}

func TestRunUntilSIGTERM(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	p, address := runDaemon(t, databaseURL(db))
	p.waitLog("listening for events")
	require.Equal(t, 0, bbmd(t, nil, "probe", "live", "--url", address).code)
	require.Equal(t, 0, bbmd(t, nil, "probe", "ready", "--url", address).code)

	db.Exec(t, "CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT generate_series(1, 10000)")
	db.Exec(t, `SELECT bbm.enqueue('execute_sql', 't', '{"sql": "UPDATE t SET n = n + 1 WHERE :range"}', name => 'm')`)
	db.WaitFor(t, "SELECT status = 'finished' FROM bbm.batched_background_migrations")
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n <> 1"))

	p.signal(syscall.SIGTERM)
	require.Equal(t, 0, p.wait())
	p.waitLog(`"bbmd stopped","reason":"received signal terminated"`)
	require.Empty(t, p.out.String(), "what it logs goes to stderr")
}

func TestTheSecondSignalKills(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, "CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT generate_series(1, 10)")
	db.Exec(t, `SELECT bbm.enqueue('execute_sql', 't', '{"sql": "UPDATE t SET n = n + 1 WHERE :range AND pg_sleep(25) IS NOT NULL"}', name => 'm')`)
	p, _ := runDaemon(t, databaseURL(db))
	db.WaitFor(t, "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'")
	p.signal(syscall.SIGTERM)
	p.waitLog("stopping: running batches may finish")
	p.signal(syscall.SIGTERM)
	require.Equal(t, -1, p.wait())
	status, ok := p.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.Equal(t, syscall.SIGTERM, status.Signal())
	db.WaitFor(t, "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'")
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n <> 0"))
}

func TestSIGHUPReloads(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	p, _ := runDaemon(t, databaseURL(db))
	p.signal(syscall.SIGHUP)
	p.waitLog(`"configuration reloaded","changed":\[\]`)

	file := filepath.Join(t.TempDir(), "bbmd.yaml")
	require.NoError(t, os.WriteFile(file, []byte("log: {level: info}"), 0o600))
	p, _ = runDaemon(t, databaseURL(db), "--config", file, "--workers", "3")
	require.NoError(t, os.WriteFile(file, []byte("log: {level: debug}\nbackground_migrations: {workers: 7}"), 0o600))
	p.signal(syscall.SIGHUP)
	p.waitLog(`"configuration reloaded","changed":\["log.level"\]`) // the flag wins over the file
	p.signal(syscall.SIGINT)
	require.Equal(t, 0, p.wait())
}

func TestSystemdIsTold(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	defer func() { _ = socket.Close() }()
	told := make(chan string, 1000)
	go func() {
		defer close(told)
		for {
			buffer := make([]byte, 4096)
			n, err := socket.Read(buffer)
			if err != nil {
				return
			}
			told <- string(buffer[:n])
		}
	}()
	env := append(databaseURL(pgtest.NewEmpty(t)), "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=200000")
	p, _ := runDaemon(t, env)
	watched := false
	var statuses []string
	next := func() string { // but the watchdog and the status line
		for state := range told {
			switch status, is := strings.CutPrefix(state, "STATUS="); {
			case is:
				statuses = append(statuses, status)
			case state == "WATCHDOG=1":
				watched = true
			default:
				return state
			}
		}
		return "closed"
	}
	require.Equal(t, "READY=1", next())
	for state := range told { // until it is ready
		watched = watched || state == "WATCHDOG=1"
		if state == "STATUS=ready: database default" {
			break
		}
	}
	require.True(t, watched)
	p.signal(syscall.SIGHUP)
	require.Equal(t, "RELOADING=1", next())
	require.Equal(t, "READY=1", next())
	p.signal(syscall.SIGTERM)
	require.Equal(t, "STOPPING=1\nSTATUS=stopping: running batches may finish", next())
	for _, status := range statuses {
		require.Contains(t, status, "ready", "it may be looking again")
	}
	require.Equal(t, 0, p.wait())
	require.NoError(t, socket.Close())
	for range told { // until the reader has ended
	}
}

func TestRunRefusesAWrongConfiguration(t *testing.T) {
	t.Parallel()
	r := bbmd(t, []string{"DATABASE_URL=postgres://app:hunter2@h/db", "BBMD_LOG__LEVEL=loud", "BBMD_WORKERZ=2"}, "run", "--workers", "0")
	require.Equal(t, 2, r.code)
	require.Regexp(t, `(?m)^bbmd: log.level \(env BBMD_LOG__LEVEL\): `, r.err)
	require.Regexp(t, `(?m)^bbmd: background_migrations.workers \(flag --workers\): `, r.err)
	require.Regexp(t, `(?m)^bbmd: BBMD_WORKERZ \(env\): `, r.err)
	require.NotContains(t, r.err, "hunter2")
}

func TestThePortIsTaken(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	r := bbmd(t, []string{"DATABASE_URL=postgres://h/db"}, "run", "--http-listen", taken.Addr().String())
	require.Equal(t, 75, r.code)
	require.Contains(t, r.err, "another process, perhaps another bbmd, has the port")
}
