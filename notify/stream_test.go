package notify_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/notify"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
	"github.com/bbmd-dev/bbmd/testing/sourcetest"
)

// logical are the settings of a server that streams.
func logical() pgserver.Options {
	return pgserver.Options{Settings: map[string]string{
		"wal_level": "logical", "max_wal_senders": "50", "max_replication_slots": "50", "max_connections": "200",
	}}
}

func newStream(t *testing.T, url string, timing sourcetest.Timing) notify.Source {
	t.Helper()
	s, err := notify.NewStream(notify.StreamConfig{
		URL:          (&pgtest.Database{URL: url}).As(t, pgtest.Streamer).URL,
		PingInterval: timing.DeadAfter / 2,
		PingTimeout:  timing.DeadAfter / 2,
		RetryMax:     timing.RetryWithin,
	})
	require.NoError(t, err)
	return s
}

func installControl(t *testing.T, db *pgtest.Database) {
	t.Helper()
	require.NoError(t, control.Install(t.Context(), db.Conn(t), ""))
}

func TestStreamKeepsTheContract(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t, logical())
	sourcetest.Run(t, sourcetest.Subject{
		New:     newStream,
		Prepare: installControl,
		Empty: func(t *testing.T) *pgtest.Database {
			t.Helper()
			return server.NewEmpty(t)
		},
		Change: `INSERT INTO bbm.batched_background_migrations (name, job_signature_name, table_name, status)
			VALUES (gen_random_uuid()::text, 'nothing', 'public.sourcetest_changes', 'paused')`,
		Sessions:    "SELECT pid FROM pg_stat_activity WHERE application_name IN ('bbmd/stream', 'bbmd/witness') AND datname = current_database()",
		Connections: 2,
		Server:      logical(),
	})
}
