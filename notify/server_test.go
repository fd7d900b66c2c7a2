package notify_test

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/notify"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// TestEverythingTheListenerSays reads the server's own log of statements.
func TestEverythingTheListenerSays(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t, pgserver.Options{Settings: map[string]string{
		"log_statement":            "all",
		"log_line_prefix":          "%a|",
		"log_min_messages":         "info",
		"log_error_verbosity":      "terse",
		"log_disconnections":       "on",
		"autovacuum":               "off",
		"logging_collector":        "off",
		"log_destination":          "stderr",
		"log_replication_commands": "off",
	}})
	db := server.NewEmpty(t)
	l, err := notify.NewListener(notify.ListenerConfig{
		URL: db.URL, PingInterval: 300 * time.Millisecond, PingTimeout: time.Minute,
	})
	require.NoError(t, err)
	events := make(chan notify.Event, 10)
	stop := start(t, l, func(e notify.Event) { events <- e })
	require.True(t, receive(t, events).Resync())
	pid := l.State().BackendPID
	require.Equal(t, int(pid), pgtest.One[int](t, db, "SELECT pid FROM pg_stat_activity WHERE application_name = 'bbmd/listener'"))
	db.WaitFor(t, "SELECT now() - state_change < '100 ms' AND query = '-- ping' FROM pg_stat_activity WHERE application_name = 'bbmd/listener'")
	db.Exec(t, "NOTIFY bbm_new")
	require.Equal(t, notify.ChannelNew, receive(t, events).Channel)
	stop()
	db.WaitFor(t, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'bbmd/listener')")

	said := map[string]int{}
	for line := range strings.Lines(server.LogTail(1000)) {
		if text, ok := strings.CutPrefix(line, "bbmd/listener|"); ok {
			text = strings.Join(strings.Fields(text), " ")
			text, _, _ = strings.Cut(text, ": session time")
			said[text]++
		}
	}
	require.Positive(t, said["LOG: statement: -- ping"], "%v", said)
	delete(said, "LOG: statement: -- ping")
	for refusal, times := range said { // PostgreSQL 13, which does not know two settings
		if strings.HasPrefix(refusal, "FATAL: unrecognized configuration parameter") && db.Major(t) < 14 {
			require.Equal(t, 1, times, "it remembers")
			delete(said, refusal)
		}
	}
	require.Equal(t, map[string]int{
		"LOG: statement: LISTEN bbm_new; LISTEN bbm_status; LISTEN bbm_force_recreate; LISTEN bbm_progress; " +
			"SELECT pg_catalog.pg_backend_pid()": 1,
		"LOG: statement: SELECT pg_catalog.pg_backend_pid(), channel " +
			"FROM pg_catalog.pg_listening_channels() AS channel": 1,
		"LOG: disconnection": 1,
	}, said, "and it says goodbye")
}

func TestServerThatBecomesAStandby(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t, pgserver.Options{Settings: map[string]string{"autovacuum": "off"}})
	db := server.NewEmpty(t)
	dir := pgtest.One[string](t, db.Superuser(t), "SHOW data_directory")
	changes := make(chan notify.State, 1000)
	l, err := notify.NewListener(notify.ListenerConfig{
		URL: db.URL, RetryMax: 100 * time.Millisecond, OnChange: func(s notify.State) { changes <- s },
	})
	require.NoError(t, err)
	stop := start(t, l, func(notify.Event) {})
	until(t, changes, func(s notify.State) bool { return s.Connected })

	require.NoError(t, server.Stop(t.Context()))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "standby.signal"), nil, 0o644))
	require.NoError(t, server.Restart(t.Context()))
	standby := until(t, changes, func(s notify.State) bool { return errors.Is(s.Err, notify.ErrStandby) })
	require.False(t, standby.Connected)

	// Without asking first, too: what a server before 14 answers to LISTEN.
	anywhere, err := notify.NewListener(notify.ListenerConfig{URL: with(t, db.URL, "target_session_attrs", "standby")})
	require.NoError(t, err)
	require.ErrorIs(t, anywhere.Check(t.Context()), notify.ErrStandby)

	db.Superuser(t).Exec(t, "SELECT pg_promote()")
	until(t, changes, func(s notify.State) bool { return s.Connected })
	stop()
}

// A URL with several hosts leads to the primary among them.
func TestSecondHostIsThePrimary(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	parsed, err := url.Parse(db.URL)
	require.NoError(t, err)
	parsed.Host = "127.0.0.1:1," + parsed.Host
	l, err := notify.NewListener(notify.ListenerConfig{URL: parsed.String()})
	require.NoError(t, err)
	require.NoError(t, l.Check(t.Context()))
}

func TestErrorsOfARealServerKeepThePassword(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	parsed, err := url.Parse(db.URL)
	require.NoError(t, err)
	parsed.User = url.UserPassword("nobody_here", "S3CR3T")
	for _, path := range []string{parsed.Path, "/no_such_database"} {
		parsed.Path = path
		l, err := notify.NewListener(notify.ListenerConfig{URL: parsed.String()})
		require.NoError(t, err)
		err = l.Check(t.Context())
		require.ErrorContains(t, err, "nobody_here")
		require.NotContains(t, err.Error(), "S3CR3T")
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestServerThatIsAwayIsSaidOnce(t *testing.T) {
	t.Parallel()
	l, err := notify.NewListener(notify.ListenerConfig{URL: "postgres://u:S3CR3T@127.0.0.1:1/d"})
	require.NoError(t, err)
	err = l.Check(t.Context())
	require.Equal(t, "check listener: failed to connect to `user=u database=d`: "+
		"127.0.0.1:1 (127.0.0.1): dial error: dial tcp 127.0.0.1:1: connect: connection refused", err.Error())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func until(t *testing.T, changes <-chan notify.State, reached func(notify.State) bool) notify.State {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case state := <-changes:
			if reached(state) {
				return state
			}
		case <-timeout:
			require.FailNow(t, "waited in vain for a change of state")
		}
	}
}

func with(t *testing.T, address, key, value string) string {
	t.Helper()
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	query := parsed.Query()
	query.Set(key, value)
	parsed.RawQuery = query.Encode()
	return parsed.String()
}
