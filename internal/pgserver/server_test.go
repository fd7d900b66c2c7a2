package pgserver_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// start starts a server that ends with the test.
func start(t *testing.T, options pgserver.Options) *pgserver.Server {
	t.Helper()
	server, err := pgserver.Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close(context.WithoutCancel(t.Context()))) })
	return server
}

// ask returns the single value that a query on a new connection returns.
func ask(t *testing.T, url, query string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(t.Context()) //nolint:errcheck // the test is over with it
	var answer string
	require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&answer))
	return answer
}

func TestServerAnswersOnPortAndSocket(t *testing.T) {
	t.Parallel()
	server := start(t, pgserver.Options{Settings: map[string]string{"work_mem": "5MB", "search_path": `"it's", public`}})

	require.Equal(t, "logical", ask(t, server.URL("postgres"), "SHOW wal_level"))
	require.Equal(t, "off", ask(t, server.SocketURL("template1"), "SHOW fsync"))
	require.Equal(t, "5MB", ask(t, server.URL("postgres"), "SHOW work_mem"))
	require.Equal(t, `"it's", public`, ask(t, server.URL("postgres"), "SHOW search_path"))
}

func TestDurableServerSyncs(t *testing.T) {
	t.Parallel()
	server := start(t, pgserver.Options{Durable: true})

	require.Equal(t, "on", ask(t, server.URL("postgres"), "SHOW fsync"))
	require.Equal(t, "on", ask(t, server.URL("postgres"), "SHOW full_page_writes"))
}

func TestStrangersStayOutside(t *testing.T) {
	t.Parallel()
	server := start(t, pgserver.Options{})

	config, err := pgx.ParseConfig(server.URL("postgres"))
	require.NoError(t, err)
	config.Password = "a guess"
	_, err = pgx.ConnectConfig(t.Context(), config)
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "28P01", refused.Code)

	config, err = pgx.ParseConfig(server.SocketURL("postgres"))
	require.NoError(t, err)
	info, err := os.Stat(config.Host)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "others can enter the socket's directory")
	require.NotContains(t, server.LogTail(1000), "password=")
}

func TestStopRestartKill(t *testing.T) {
	t.Parallel()
	server := start(t, pgserver.Options{})
	url := server.URL("postgres")
	session, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	_, err = session.Exec(t.Context(), "CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)")
	require.NoError(t, err)

	require.NoError(t, server.Kill())
	require.Zero(t, server.PID())
	require.Error(t, session.Ping(t.Context()), "the session outlived the server")
	require.NoError(t, server.Kill(), "a second time")
	require.NoError(t, server.Restart(t.Context()))
	require.Equal(t, url, server.URL("postgres"))
	require.Equal(t, "42", ask(t, url, "SELECT n::text FROM kept"))
	require.Contains(t, server.LogTail(50), "was not properly shut down")

	before := server.PID()
	require.NoError(t, server.Restart(t.Context()), "without a stop before")
	require.NotEqual(t, before, server.PID())
	require.NoError(t, server.Stop(t.Context()))
	require.NoError(t, server.Stop(t.Context()), "a second time")
	_, err = pgx.Connect(t.Context(), url)
	require.Error(t, err)
	require.Contains(t, server.LogTail(1), "database system is shut down")
}

func TestStopIsImmediateWhenTimeIsUp(t *testing.T) {
	t.Parallel()
	server := start(t, pgserver.Options{})
	over, cancel := context.WithCancel(t.Context())
	cancel()

	require.NoError(t, server.Stop(over))

	require.Zero(t, server.PID())
}

func TestCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	server, err := pgserver.Start(t.Context(), pgserver.Options{})
	require.NoError(t, err)

	require.NoError(t, server.Close(t.Context()))
	require.NoError(t, server.Close(t.Context()), "a second time")

	require.NoDirExists(t, server.RunPath())
	require.Error(t, server.Restart(t.Context()), "a closed server restarted")
}

func TestStartSaysWhyAndLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := reachable(t)

	_, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir, Settings: map[string]string{"max_connections": "many"}})

	require.ErrorContains(t, err, "invalid value for parameter \"max_connections\"")
	server := start(t, pgserver.Options{Dir: dir}) // so neither a lock nor a process is left
	require.Equal(t, "200", ask(t, server.URL("postgres"), "SHOW max_connections"))
}

func TestStartObeysItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(os.ErrDeadlineExceeded)

	_, err := pgserver.Start(ctx, pgserver.Options{})

	require.Error(t, err)
}

func TestTakenPortIsNamed(t *testing.T) {
	t.Parallel()
	first := start(t, pgserver.Options{})

	_, err := pgserver.Start(t.Context(), pgserver.Options{Port: first.Port()})

	require.ErrorContains(t, err, "could not bind")
}

func TestDirKeepsTheData(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(reachable(t), "made", "on", "the", "way", strings.Repeat("long", 30))
	server, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir})
	require.NoError(t, err)
	conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "CREATE DATABASE kept")
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))

	_, err = pgserver.Start(t.Context(), pgserver.Options{Dir: dir})
	require.ErrorContains(t, err, "in use by another process")

	require.NoError(t, server.Close(t.Context()))
	server = start(t, pgserver.Options{Dir: dir})
	require.Equal(t, "kept", ask(t, server.URL("kept"), "SELECT current_database()"))
}

func TestDirOfAnotherVersionIsRefused(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	server, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir})
	require.NoError(t, err)
	require.NoError(t, server.Close(t.Context()))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "data", "PG_VERSION"), []byte("9\n"), 0o600))

	_, err = pgserver.Start(t.Context(), pgserver.Options{Dir: dir})

	require.ErrorContains(t, err, "was made by PostgreSQL 9")
}

func TestDirThatTheServerCannotEnterIsRefused(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("the server runs as the user who can enter")
	}
	dir := reachable(t)
	require.NoError(t, os.Chmod(dir, 0o700))

	_, err := pgserver.Start(t.Context(), pgserver.Options{Dir: filepath.Join(dir, "closed")})

	require.ErrorContains(t, err, "cannot enter")
}

// reachable returns a temporary directory that root's server can enter too.
func reachable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "bbmd-test-") //nolint:usetesting // others cannot enter t.TempDir
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o711))
	return dir
}
