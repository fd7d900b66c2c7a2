package sourcetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// idleIsSilent looks at the wire: not a byte goes to the server, so no statement
// does.
func idleIsSilent(t *testing.T, subject Subject) {
	const window = 3 * time.Second
	w := newWorld(t, subject, subject.Empty(t))
	p := newProxy(t, w.db.URL)
	c := consume(t, w.New(t, p.url, Timing{}), w.db.URL, nil)
	c.untilResyncs(t, 1)
	conn := w.db.Conn(t)
	w.commit(t, conn, 1)
	c.untilEvents(t, 2)
	before := p.sent.Load()
	require.NotZero(t, before, "the source goes through the proxy")
	idle := time.NewTimer(window)
	defer idle.Stop()
	<-idle.C
	require.Equal(t, before, p.sent.Load(), "bytes sent while idle")
	require.Len(t, c.received(), 2)
}

func serverStops(t *testing.T, subject Subject) {
	outage(t, subject, func(ctx context.Context, server *pgtest.Server) error { return server.Stop(ctx) })
}

func serverCrashes(t *testing.T, subject Subject) {
	outage(t, subject, func(_ context.Context, server *pgtest.Server) error { return server.Kill() })
}

// notBeforeVisible commits on a server whose commits wait for a standby: the change is in
// the write-ahead log then, and nobody sees it. A source that tells about it too
// early makes its consumer look in vain.
func notBeforeVisible(t *testing.T, subject Subject) {
	server := pgtest.NewServer(t, subject.Server)
	w := newWorld(t, subject, server.NewEmpty(t))
	conn, writer := w.db.Superuser(t).Conn(t), w.db.Conn(t)
	c := consume(t, w.New(t, w.db.URL, Timing{}), w.db.URL, nil)
	c.untilResyncs(t, 1)
	_, err := writer.Exec(t.Context(), "SET synchronous_commit = on")
	require.NoError(t, err)
	tx := w.begin(t, writer, 1)
	waitFor := func(standby string) {
		for _, sql := range []string{"ALTER SYSTEM SET synchronous_standby_names = '" + standby + "'", "SELECT pg_reload_conf()"} {
			_, err := conn.Exec(t.Context(), sql)
			require.NoError(t, err)
		}
	}
	waitFor("nobody")
	defer waitFor("") // or nothing that follows would end
	w.db.WaitFor(t, "SELECT current_setting('synchronous_standby_names') = 'nobody'")
	committed := make(chan error, 1)
	go func() { committed <- tx.Commit(context.WithoutCancel(t.Context())) }()
	w.db.WaitFor(t, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep')")
	early := time.NewTimer(time.Second)
	defer early.Stop()
	<-early.C
	require.Len(t, c.received(), 1, "told before anybody can see it")
	waitFor("")
	require.NoError(t, <-committed)
	c.untilSeen(t, 1)
}

// outage takes the server away and back, and commits before the source may have
// noticed that it is back.
func outage(t *testing.T, subject Subject, end func(context.Context, *pgtest.Server) error) {
	t.Helper()
	server := pgtest.NewServer(t, subject.Server)
	w := newWorld(t, subject, server.NewEmpty(t))
	c := consume(t, w.New(t, w.db.URL, quick()), w.db.URL, nil)
	c.untilResyncs(t, 1)
	for round := 1; round <= 2; round++ {
		require.NoError(t, end(t.Context(), server))
		require.NoError(t, server.Restart(t.Context()))
		w.commit(t, w.db.Conn(t), 2*round-1)
		c.untilSeen(t, 2*round-1)
		c.untilResyncs(t, round+1)
		w.commit(t, w.db.Conn(t), 2*round)
		c.untilSeen(t, 2*round)
	}
}

// halfOpen cuts the connection without a word to either side, commits a change
// that cannot get through, and waits for it.
func halfOpen(t *testing.T, subject Subject) {
	w := newWorld(t, subject, subject.Empty(t))
	p := newProxy(t, w.db.URL)
	conn := w.db.Conn(t)
	c := consume(t, w.New(t, p.url, quick()), w.db.URL, nil)
	for round := 1; round <= 3; round++ {
		c.untilResyncs(t, round)
		p.silence(false)
		w.commit(t, conn, round)
		c.untilSeen(t, round)
	}
}

func endsWithTheCause(t *testing.T, subject Subject) {
	w := newWorld(t, subject, subject.Empty(t))
	c := consume(t, w.New(t, w.db.URL, Timing{}), w.db.URL, nil)
	c.untilResyncs(t, 1)
	c.stop(t)
	w.db.WaitFor(t, "SELECT NOT EXISTS ("+w.Sessions+")")
}

func endsWhileServerIsAway(t *testing.T, subject Subject) {
	w := newWorld(t, subject, subject.Empty(t))
	p := newProxy(t, w.db.URL)
	c := consume(t, w.New(t, p.url, Timing{}), w.db.URL, nil)
	c.untilResyncs(t, 1)
	p.close()
	w.db.WaitFor(t, "SELECT NOT EXISTS ("+w.Sessions+")")
	stopsSoon(t, c)
}

// endsWhileServerIsMute ends a source whose server takes connections and says
// nothing.
func endsWhileServerIsMute(t *testing.T, subject Subject) {
	w := newWorld(t, subject, subject.Empty(t))
	p := newProxy(t, w.db.URL)
	p.silence(true)
	c := consume(t, w.New(t, p.url, Timing{}), w.db.URL, nil)
	p.untilUsed(t)
	stopsSoon(t, c)
	require.Empty(t, c.received())
}

// stopsSoon checks that nothing of the source's patience delays its end.
func stopsSoon(t *testing.T, c *consumer) {
	t.Helper()
	const soon = 5 * time.Second
	before := time.Now()
	c.stop(t)
	require.Less(t, time.Since(before), soon)
}

func canBeRunAgain(t *testing.T, subject Subject) {
	w := newWorld(t, subject, subject.Empty(t))
	conn := w.db.Conn(t)
	source := w.New(t, w.db.URL, Timing{})
	consume(t, source, w.db.URL, nil).stop(t)
	c := consume(t, source, w.db.URL, nil)
	c.untilResyncs(t, 1)
	w.commit(t, conn, 1)
	c.untilSeen(t, 1)
	require.True(t, c.received()[0].Resync())
}
