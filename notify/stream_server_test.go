package notify_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/notify"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// as returns the address of db for a new role with these attributes.
func as(t *testing.T, db *pgtest.Database, attributes string) (address, role string) {
	t.Helper()
	role = fmt.Sprintf("stream_%d", time.Now().UnixNano())
	db.Superuser(t).Exec(t, "SET password_encryption = 'scram-sha-256'; CREATE ROLE "+role+" LOGIN PASSWORD 'S3CR3T' "+attributes)
	parsed, err := url.Parse(db.URL)
	require.NoError(t, err)
	parsed.User = url.UserPassword(role, "S3CR3T")
	return parsed.String(), role
}

func streamAt(t *testing.T, address string) *notify.Stream {
	t.Helper()
	s, err := notify.NewStream(notify.StreamConfig{
		URL: address, RetryMax: 100 * time.Millisecond,
		PingInterval: 500 * time.Millisecond, PingTimeout: 5 * time.Second,
	})
	require.NoError(t, err)
	return s
}

func TestStreamOfARoleThatMayNot(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	address, role := as(t, db, "")
	err := streamAt(t, address).Check(t.Context())
	require.ErrorIs(t, err, notify.ErrCannotStream)
	require.ErrorContains(t, err, `ALTER ROLE "`+role+`" REPLICATION`)

	db.Superuser(t).Exec(t, "ALTER ROLE "+role+" REPLICATION")
	err = streamAt(t, address).Check(t.Context())
	require.ErrorIs(t, err, notify.ErrCannotStream)
	const statement = "CREATE PUBLICATION \"bbm_events\" FOR TABLE \"bbm\".batched_background_migrations, \"bbm\".counters, \"bbm\".quarantine, \"bbm\".runs " +
		"WITH (publish = 'insert, update, delete')"
	require.ErrorContains(t, err, "let the owner of the tables, who needs CREATE on the database run: "+statement)
	require.NotContains(t, err.Error(), "S3CR3T")

	db.Exec(t, statement) // as it was said
	require.NoError(t, streamAt(t, address).Check(t.Context()))
	db.Exec(t, "GRANT USAGE ON SCHEMA bbm TO "+role)
	db.Exec(t, "GRANT SELECT ON bbm.batched_background_migrations TO "+role)
	hear(t, streamAt(t, address))
}

func TestPublicationIsMadeWhole(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]string{
		"nothing":         "SELECT",
		"a table less":    "CREATE PUBLICATION bbm_events FOR TABLE bbm.runs",
		"updates alone":   "CREATE PUBLICATION bbm_events FOR TABLE bbm.runs WITH (publish = 'update')",
		"all tables":      "CREATE PUBLICATION bbm_events FOR ALL TABLES",
		"no tables":       "CREATE PUBLICATION bbm_events",
		"made by another": "CREATE PUBLICATION bbm_events FOR TABLE bbm.batched_background_migrations, bbm.counters, bbm.quarantine, bbm.runs",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			if strings.Contains(before, "ALL TABLES") {
				db.Superuser(t).Exec(t, before)
			} else {
				db.Exec(t, before)
			}
			publications := "SELECT count(*) FROM pg_publication"
			count := pgtest.One[int](t, db, publications)
			require.NoError(t, streamOn(t, db).Check(t.Context()))
			require.Equal(t, count, pgtest.One[int](t, db, publications), "a check changes nothing")
			first, second := hear(t, streamOn(t, db)), hear(t, streamOn(t, db)) // one after the other
			db.Exec(t, "INSERT INTO bbm.runs (action, state_before, plan, host, backend_pid) VALUES ('create', 'EMPTY', '{}', 'h', 1)")
			for _, e := range []*ear{first, second} {
				e.until(t, func(e notify.Event) bool { return e.Channel == notify.ChannelStatus })
			}
		})
	}
}

// TestManyStreamsBeginAtOnce lets several find that there is no publication.
func TestManyStreamsBeginAtOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	heard := make(chan notify.Event, 100)
	for range 4 {
		stop := start(t, streamOn(t, db), func(e notify.Event) { heard <- e })
		defer stop()
	}
	for range 4 {
		select {
		case e := <-heard:
			require.True(t, e.Resync())
		case <-time.After(time.Minute):
			require.FailNow(t, "a stream does not begin")
		}
	}
}

// TestPublicationThatIsDropped is noticed with the next change, or at the latest
// when the server says so, and made again.
func TestPublicationThatIsDropped(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	conn := db.As(t, pgtest.Streamer).Conn(t) // who has made it
	s := streamOn(t, db)
	e := hear(t, s)
	_, err := conn.Exec(t.Context(), "DROP PUBLICATION bbm_events")
	require.NoError(t, err)
	db.Exec(t, "CREATE TABLE t (id bigint PRIMARY KEY)")
	db.Exec(t, "SELECT bbm.enqueue('w', table_name => 'public.t', name => 'a')")
	e.until(t, notify.Event.Resync)
	require.ErrorContains(t, s.State().Err, "bbm_events")
	db.Exec(t, "SELECT bbm.enqueue('w', table_name => 'public.t', name => 'b')")
	e.until(t, func(e notify.Event) bool { return e.Channel == notify.ChannelNew })
}

func TestServersThatCannotStream(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		settings map[string]string
		want     string
	}{
		"wal_level":  {map[string]string{"wal_level": "replica"}, "wal_level is replica: set it to logical and restart the server, or choose `events: notify`"},
		"no slots":   {map[string]string{"max_replication_slots": "0"}, "raise max_replication_slots"},
		"no senders": {map[string]string{"max_wal_senders": "0"}, "raise max_wal_senders"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.NewServer(t, pgserver.Options{Settings: test.settings}).New(t)
			require.ErrorContains(t, streamOn(t, db).Check(t.Context()), test.want)
		})
	}
}

// TestCommitsNeverWaitForTheStream refuses a server on which it would be a standby.
func TestCommitsNeverWaitForTheStream(t *testing.T) {
	t.Parallel()
	db := pgtest.NewServer(t, logical()).New(t)
	conn := db.Superuser(t).Conn(t)
	for _, names := range []string{"*", "one", "FIRST 1 (one, *)", ""} { // with the last one, commits return again
		for _, sql := range []string{"ALTER SYSTEM SET synchronous_standby_names = '" + names + "'", "SELECT pg_reload_conf()"} {
			_, err := conn.Exec(t.Context(), sql)
			require.NoError(t, err)
		}
		db.WaitFor(t, "SELECT current_setting('synchronous_standby_names') = $1", names)
		err := streamOn(t, db).Check(t.Context())
		if !strings.Contains(names, "*") {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, notify.ErrCannotStream)
		require.ErrorContains(t, err, "name the standbys there")
	}
}

func TestStreamWithoutAControlSchema(t *testing.T) {
	t.Parallel()
	err := streamOn(t, pgtest.NewEmpty(t)).Check(t.Context())
	require.ErrorIs(t, err, notify.ErrCannotStream)
	require.ErrorContains(t, err, "there is no table bbm.batched_background_migrations")
}

// TestSlotIsTakenAway stops the stream from reading while the server writes more than a
// slot may keep: the server ends it, and it comes back.
func TestSlotIsTakenAway(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t, pgserver.Options{Settings: map[string]string{
		"max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB", "max_wal_size": "64MB", "wal_sender_timeout": "60s",
	}})
	db := server.New(t)
	conn := db.Superuser(t).Conn(t)
	s := streamAt(t, db.As(t, pgtest.Streamer).URL)
	e := hear(t, s)
	db.Exec(t, "CREATE TABLE junk (t text)")
	// A slot cannot move past a transaction that is open, nor let go of the log since it began.
	open := db.Conn(t)
	tx, err := open.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "INSERT INTO junk VALUES ('x')")
	require.NoError(t, err)
	for range 8 {
		_, err := conn.Exec(t.Context(), "INSERT INTO junk SELECT repeat(md5(i::text), 100) FROM generate_series(1, 5000) i")
		require.NoError(t, err)
		for _, sql := range []string{"SELECT pg_switch_wal()", "CHECKPOINT"} {
			_, err = conn.Exec(t.Context(), sql)
			require.NoError(t, err)
		}
	}
	require.NoError(t, tx.Commit(t.Context()))
	e.until(t, notify.Event.Resync)
	require.NotNil(t, s.State().Err)
	db.Exec(t, "INSERT INTO bbm.batched_background_migrations (name, job_signature_name, table_name, status) VALUES ('after', 'w', 'public.junk', 'paused')")
	e.until(t, func(e notify.Event) bool { return e.Channel == notify.ChannelNew })
}

// TestWALIsLetGo: the slot follows what others write, though nothing of it concerns
// the stream.
func TestWALIsLetGo(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	hear(t, streamAt(t, db.As(t, pgtest.Streamer).URL))
	db.Exec(t, "CREATE TABLE junk (t text)")
	db.Exec(t, "INSERT INTO junk SELECT repeat('x', 1000) FROM generate_series(1, 5000) i")
	written := pgtest.One[string](t, db, "SELECT pg_current_wal_lsn()::text")
	db.WaitFor(t, "SELECT confirmed_flush_lsn >= $1::pg_lsn FROM pg_replication_slots WHERE database = current_database()", written)
	require.True(t, pgtest.One[bool](t, db, "SELECT temporary FROM pg_replication_slots WHERE database = current_database()"))
}

// TestNothingIsLeftBehind looks for slots after a stream has ended, cleanly or not.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := streamOn(t, db)
	e := &ear{more: make(chan struct{}, 1)}
	stop := start(t, s, e.deliver)
	e.until(t, notify.Event.Resync)
	db.Superuser(t).Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bbmd/stream' AND datname = current_database()")
	e.until(t, notify.Event.Resync)
	stop()
	db.WaitFor(t, "SELECT NOT EXISTS (SELECT FROM pg_replication_slots WHERE database = current_database())")
	db.WaitFor(t, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'bbmd/%' AND datname = current_database())")
}

func TestStreamWithoutAServer(t *testing.T) {
	t.Parallel()
	s := streamAt(t, "postgres://u:S3CR3T@127.0.0.1:1/d")
	err := s.Check(t.Context())
	require.ErrorContains(t, err, "check stream: failed to connect")
	require.NotContains(t, err.Error(), "S3CR3T")
	require.False(t, errors.Is(err, notify.ErrCannotStream))
}

func TestStreamConfig(t *testing.T) {
	t.Parallel()
	_, err := notify.NewStream(notify.StreamConfig{URL: "postgres://u:S3CR3T@%zz/d"})
	require.ErrorContains(t, err, "stream: ")
	require.NotContains(t, err.Error(), "S3CR3T")
	_, err = notify.NewStream(notify.StreamConfig{URL: "host=h", PingTimeout: -1})
	require.ErrorContains(t, err, "negative")
	require.Equal(t, "bbm_events", notify.PublicationName("bbm"))
	require.Len(t, notify.PublicationName("a23456789012345678901234567890123456789012345678901234567890123"), 63)
}
