package notify_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/notify"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// ear collects the events of a source.
type ear struct {
	mu     sync.Mutex
	events []notify.Event
	more   chan struct{}
}

func (e *ear) deliver(event notify.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.events = append(e.events, event)
	select {
	case e.more <- struct{}{}:
	default:
	}
}

// until takes the events up to and including the one that is awaited.
func (e *ear) until(t *testing.T, awaited func(notify.Event) bool) []notify.Event {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		e.mu.Lock()
		at := slices.IndexFunc(e.events, awaited)
		var taken []notify.Event
		if at >= 0 {
			taken, e.events = e.events[:at+1:at+1], e.events[at+1:]
		}
		e.mu.Unlock()
		if at >= 0 {
			return taken
		}
		select {
		case <-e.more:
		case <-timeout:
			require.FailNow(t, "waited in vain for an event")
		}
	}
}

// hear runs a source until the test ends, and returns after its first resync.
func hear(t *testing.T, source notify.Source) *ear {
	t.Helper()
	e := &ear{more: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = source.Run(ctx, e.deliver) // it ends because the test does
	}()
	t.Cleanup(func() { cancel(); <-done })
	e.until(t, notify.Event.Resync)
	return e
}

func streamOn(t *testing.T, db *pgtest.Database) *notify.Stream {
	t.Helper()
	s, err := notify.NewStream(notify.StreamConfig{URL: db.As(t, pgtest.Streamer).URL, RetryMax: 100 * time.Millisecond})
	require.NoError(t, err)
	return s
}

// TestBothSourcesTellTheSame does everything that raises an event beside both
// sources, one after the other, and compares what they tell.
func TestBothSourcesTellTheSame(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	conn := db.Conn(t)
	listener, err := notify.NewListener(notify.ListenerConfig{URL: db.URL})
	require.NoError(t, err)
	streamed, notified := hear(t, streamOn(t, db)), hear(t, listener)
	const marker = "INSERT INTO bbm.batched_background_migrations (name, job_signature_name, table_name, status) VALUES ('marker', 'w', 'public.m', 'paused')"
	for _, step := range append([]eventStep{{sql: marker, want: []notify.Event{{Channel: notify.ChannelNew}}}}, eventSteps()...) {
		_, err := conn.Exec(t.Context(), step.sql)
		require.NoError(t, err, step.sql)
		_, err = conn.Exec(t.Context(), `WITH changed AS (UPDATE bbm.batched_background_migrations SET status_reason = gen_random_uuid()::text WHERE name = 'marker' RETURNING name)
			SELECT pg_notify('bbm_progress', name) FROM changed`) // as the executor does
		require.NoError(t, err)
		mark := notify.Event{Channel: notify.ChannelProgress, Payload: "marker"}
		marked := func(e notify.Event) bool { return e == mark }
		want := append(slices.Clone(step.want), mark)
		require.Equal(t, want, streamed.until(t, marked), "the stream: %s", step.sql)
		heard := notified.until(t, marked)
		if !step.streamOnly {
			require.Equal(t, want, heard, "the listener: %s", step.sql)
		}
	}
}

// needsMessages skips a test where the server does not send messages.
func needsMessages(t *testing.T, db *pgtest.Database) {
	t.Helper()
	if pgtest.One[int](t, db, "SELECT current_setting('server_version_num')::int") < 140000 {
		t.Skip("PostgreSQL 13 sends no messages")
	}
}

func raise(t *testing.T, conn *pgx.Conn, channel, payload string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), notify.RaiseSQL, channel, payload)
	require.NoError(t, err)
}

type eventStep struct {
	sql        string
	want       []notify.Event
	streamOnly bool // it notifies nobody, and may as well be an event
}

func eventSteps() []eventStep {
	news, status := []notify.Event{{Channel: notify.ChannelNew}}, []notify.Event{{Channel: notify.ChannelStatus}}
	progress := []notify.Event{{Channel: notify.ChannelProgress, Payload: "a"}}
	const update = "UPDATE bbm.batched_background_migrations SET "
	steps := []eventStep{
		{sql: "CREATE TABLE t (id bigint PRIMARY KEY, n int)"},
		{sql: "SELECT bbm.enqueue('w', table_name => 'public.t', name => 'a')", want: news},
		{sql: "SELECT bbm.enqueue('w', table_name => 'public.t', name => n) FROM unnest('{b,c}'::text[]) n", want: news},
		{sql: "SELECT bbm.pause('a')", want: status},
		{sql: update + "status_reason = 'x', updated_at = now() WHERE name = 'a'", want: progress, streamOnly: true},
		{sql: update + "total_tuple_count = 7 WHERE name = 'a'"},
		{sql: update + "updated_at = now()"},
		{sql: "SELECT bbm.resume('a')", want: status},
		{sql: "SELECT bbm.pause(n) FROM unnest('{a,b}'::text[]) n", want: status},
		{sql: "DELETE FROM bbm.batched_background_migrations WHERE name = 'b'"},
		{
			sql:  "INSERT INTO bbm.counters (batched_background_migration_id, owner) SELECT id, 1 FROM bbm.batched_background_migrations WHERE name = 'a'",
			want: progress, streamOnly: true,
		},
		{sql: "INSERT INTO bbm.runs (action, state_before, plan, host, backend_pid) VALUES ('create', 'EMPTY', '{}', 'h', 1)", want: status},
		{sql: "UPDATE bbm.runs SET log = log || 'more'"},
		{sql: "UPDATE bbm.runs SET outcome = 'finished', finished_at = now()", want: status},
		{sql: "INSERT INTO bbm.quarantine (batched_background_migration_id, batched_background_migration_job_id, key, attempts) VALUES (1, 1, '5', 3)"},
		{sql: "DELETE FROM bbm.quarantine", want: status, streamOnly: true},
		{sql: "INSERT INTO bbm.settings (name, value) VALUES ('a', '1')"},
		{sql: "INSERT INTO bbm.force_recreate_tokens (token, host) VALUES ('a', 'h')"},
	}
	for _, change := range []string{
		"batch_size = 77", "min_batch_size = 7", "max_batch_size = 7777", "target_duration = '1s'", "pause = '1s'", `throttle = '{"duty": 0.5}'`,
		"parallelism = 3", "priority = 3", "depends_on = '{b}'", "max_attempts = 3", "max_quarantined = 3",
	} {
		steps = append(steps, eventStep{sql: update + change + " WHERE name = 'a'", want: status}, eventStep{sql: update + change + " WHERE name = 'a'"})
	}
	return steps
}

// TestStatementsOfTheExecutor raises what the executor and the daemon raise.
func TestStatementsOfTheExecutor(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	needsMessages(t, db)
	conn := db.Conn(t)
	db.Exec(t, "CREATE TABLE t (id bigint PRIMARY KEY)")
	db.Exec(t, "SELECT bbm.enqueue('w', table_name => 'public.t', name => 'a')")
	id := pgtest.One[int32](t, db, "SELECT id FROM bbm.batched_background_migrations")
	store := control.NewStore("")
	e := hear(t, streamOn(t, db))

	_, err := store.Count(t.Context(), conn, id, 1, "a", control.Tally{Batches: 1, Keys: 2, Rows: 3})
	require.NoError(t, err)
	require.Equal(t, []notify.Event{{Channel: notify.ChannelProgress, Payload: "a"}}, e.until(t, always), "the name was learned before")
	require.NoError(t, store.Wake(t.Context(), conn))
	require.Equal(t, []notify.Event{{Channel: notify.ChannelStatus}}, e.until(t, always))
	raise(t, conn, notify.ChannelForceRecreate, "token")
	require.Equal(t, []notify.Event{{Channel: notify.ChannelForceRecreate, Payload: "token"}}, e.until(t, always))
}

func always(notify.Event) bool { return true }

// TestMessagesOfOthers are dropped, or cut, and counted.
func TestMessagesOfOthers(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	needsMessages(t, db)
	conn := db.Conn(t)
	s := streamOn(t, db)
	e := hear(t, s)
	for _, sql := range []string{
		"SELECT pg_logical_emit_message(true, 'somebody', 'x')",
		"SELECT pg_logical_emit_message(false, '', '')",
		"SELECT pg_logical_emit_message(true, 'bbm_new', repeat('x', 100000))",
		"SELECT pg_logical_emit_message(true, 'bbm_new', 'x' || i) FROM generate_series(1, 5000) i",
	} {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	raise(t, conn, notify.ChannelProgress, "end")
	events := e.until(t, func(e notify.Event) bool { return e.Payload == "end" })
	require.Equal(t, notify.Event{Channel: notify.ChannelNew}, events[0], "too long to be a payload")
	require.Len(t, events, 1+1000+1+1, "a thousand that differ, and one for all others")
	require.Equal(t, notify.Event{Channel: notify.ChannelNew}, events[1001])
	require.EqualValues(t, 2, s.State().Ignored)
	require.EqualValues(t, len(events), s.State().Notifications)
}
