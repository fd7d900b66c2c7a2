package daemon_test

import (
	"net/http"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// TestIdleMeansSilence counts what an idle daemon sends, and shows that an
// INSERT of somebody else gets it going all the same.
func TestIdleMeansSilence(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t, pgserver.Options{Settings: map[string]string{
		"log_statement": "all", "log_connections": "on", "log_line_prefix": "<%a> ",
	}})
	db := server.New(t)
	rows(t, db, "t", 1000)
	d := start(t, configFor(t, db))
	d.waitReady()
	enqueue(t, db, "bump", "t", 100) // so that all sessions have been opened
	waitFinished(t, db, "t")
	waitQuiet(t, server)

	before := statements(t, server)
	<-time.After(3 * time.Second)
	require.Equal(t, before, statements(t, server), "an idle daemon says something")

	rows(t, db, "u", 1000)
	db.Exec(t, "INSERT INTO bbm.batched_background_migrations (name, job_signature_name, table_name) VALUES ('u', 'bump', 'u')")
	waitFinished(t, db, "u")
	require.Equal(t, 2.0, d.metric(`bbmd_events_total{channel="bbm_new",database="default"}`))
}

// TestThePingIsAllThatIsSent shows what an idle listener sends, at an interval that a
// test can wait for.
func TestThePingIsAllThatIsSent(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t, pgserver.Options{Settings: map[string]string{
		"log_statement": "all", "log_connections": "on", "log_line_prefix": "<%a> ",
	}})
	db := server.New(t)
	d := start(t, configFor(t, db), daemon.WithPingInterval(time.Second))
	d.waitReady()
	waitQuiet(t, server)
	before := len(statements(t, server))
	<-time.After(2500 * time.Millisecond)
	sent := statements(t, server)[before:]
	require.NotEmpty(t, sent)
	require.LessOrEqual(t, len(sent), 3)
	for _, line := range sent {
		require.Equal(t, "<bbmd/listener> LOG:  statement: -- ping", line)
	}
}

// logged finds the lines of a server's log that a session of ours caused.
var logged = regexp.MustCompile(`(?m)^<bbmd/[^>]*> LOG:  (statement|execute|connection).*$`)

func statements(t *testing.T, server *pgtest.Server) []string {
	t.Helper()
	content, err := os.ReadFile(server.LogPath())
	require.NoError(t, err)
	return logged.FindAllString(string(content), -1)
}

// waitQuiet waits until nothing was logged for half a second: the last look
// comes after the last event.
func waitQuiet(t *testing.T, server *pgtest.Server) {
	t.Helper()
	last, since := -1, time.Now()
	require.Eventually(t, func() bool {
		if n := len(statements(t, server)); n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > 500*time.Millisecond
	}, patience, 20*time.Millisecond)
}

// TestWhatWakesTheExecutor shows which events cause a scan.
func TestWhatWakesTheExecutor(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	d := start(t, configFor(t, db))
	d.waitReady()

	before := d.settled()
	db.Exec(t, "NOTIFY bbm_progress; NOTIFY bbm_force_recreate")
	for _, channel := range []string{"bbm_progress", "bbm_force_recreate"} {
		require.Eventually(t, func() bool {
			return d.metric(`bbmd_events_total{channel="`+channel+`",database="default"}`) == 1
		}, patience, time.Millisecond)
	}
	require.Equal(t, before, d.settled())

	for _, channel := range []string{"bbm_new", "bbm_status"} {
		before = d.settled()
		db.Exec(t, "NOTIFY "+channel)
		require.Eventually(t, func() bool { return d.scans() > before }, patience, time.Millisecond)
	}
}

func TestSwitchedOff(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 1000)
	cfg := configFor(t, db)
	cfg.BackgroundMigrations.Enabled = false
	d := start(t, cfg)
	d.waitReady()
	enqueue(t, db, "bump", "t", 100)
	require.Eventually(t, func() bool {
		return d.metric(`bbmd_events_total{channel="bbm_new",database="default"}`) == 1
	}, patience, time.Millisecond)
	require.Equal(t, 0.0, d.metric(`bbmd_reconcile_total{database="default"}`))
	require.Equal(t, "active", pgtest.One[string](t, db, "SELECT status FROM bbm.batched_background_migrations"))
	db.WaitFor(t, "SELECT coalesce(starts_with(status_reason, 'background migrations are switched off'), false) FROM bbm.progress")
	status, _ := d.get("/readyz")
	require.Equal(t, http.StatusOK, status)
	d.stop()

	start(t, configFor(t, db))
	waitFinished(t, db, "t")
}
