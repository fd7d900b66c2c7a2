package daemon_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// TestEventsFromTheLog runs migrations on a daemon that follows the write-ahead log, on a
// server whose notifications nobody hears, and counts what it sends while idle.
func TestEventsFromTheLog(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t, pgserver.Options{Settings: map[string]string{
		"log_statement": "all", "log_connections": "on", "log_line_prefix": "<%a> ",
	}})
	db := server.New(t).As(t, pgtest.Streamer)
	rows(t, db, "t", 1000)
	cfg := configOf(map[string]string{"default": db.URL})
	cfg.Events = config.EventsWAL
	d := start(t, cfg)
	d.waitReady()
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bbmd/listener'"))
	enqueue(t, db, "bump", "t", 100)
	waitFinished(t, db, "t")
	waitQuiet(t, server)

	before := statements(t, server)
	<-time.After(3 * time.Second)
	require.Equal(t, before, statements(t, server), "an idle daemon says something")

	rows(t, db, "u", 1000)
	db.Exec(t, "INSERT INTO bbm.batched_background_migrations (name, job_signature_name, table_name, status) VALUES ('u', 'bump', 'u', 'paused')")
	db.Exec(t, "SELECT bbm.resume('u')")
	waitFinished(t, db, "u")
	require.Equal(t, 2.0, d.metric(`bbmd_events_total{channel="bbm_new",database="default"}`))
	require.Less(t, d.metric(`bbmd_stream_behind_bytes{database="default"}`), 1e9)
	db.Superuser(t).Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bbmd/stream'")
	require.Eventually(t, func() bool { return d.metric(`bbmd_listener_reconnects_total{database="default"}`) == 1 }, patience, 10*time.Millisecond)
}

// TestServerThatDoesNotStream says why it is not ready, and what to do.
func TestServerThatDoesNotStream(t *testing.T) {
	t.Parallel()
	db := pgtest.NewServer(t, pgserver.Options{Settings: map[string]string{"wal_level": "replica"}}).New(t).As(t, pgtest.Streamer)
	cfg := configOf(map[string]string{"default": db.URL})
	cfg.Events = config.EventsWAL
	d := start(t, cfg)
	require.Eventually(t, func() bool {
		_, body := d.get("/readyz?verbose")
		return regexp.MustCompile("listener/default.*wal_level is replica: set it to logical").MatchString(body)
	}, patience, 10*time.Millisecond)
}
