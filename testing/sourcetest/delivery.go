package sourcetest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/notify"
)

func resyncFirst(t *testing.T, subject Subject) {
	w := newWorld(t, subject, subject.Empty(t))
	conn := w.db.Conn(t)
	w.commit(t, conn, 1)
	c := consume(t, w.New(t, w.db.URL, Timing{}), w.db.URL, nil)
	c.untilSeen(t, 1)
	w.commit(t, conn, 2)
	c.untilEvents(t, 2)
	c.untilSeen(t, 2)
	events := c.received()
	require.Len(t, events, 2, "one for the connection, one for the change after it")
	require.True(t, events[0].Resync())
	require.False(t, events[1].Resync())
}

// subscribedBeforeResync commits a change as soon as a resync is there, when a
// subscription that came later would miss it and the scan may be over.
func subscribedBeforeResync(t *testing.T, subject Subject) {
	w := newWorld(t, subject, subject.Empty(t))
	conn := w.db.Superuser(t).Conn(t)
	c := consume(t, w.New(t, w.db.URL, quick()), w.db.URL, nil)
	for round := 1; round <= 15; round++ {
		c.untilResyncs(t, round)
		w.commit(t, conn, round)
		c.until(t, "an event for the change after the resync", func() bool {
			return len(c.events)-c.resyncs() >= round
		})
		events := c.received()
		require.True(t, events[2*round-2].Resync(), "the first event of a connection")
		require.False(t, events[2*round-1].Resync())
		require.Equal(t, w.Connections, w.terminate(t, conn))
	}
}

// reconnects is how often the source has to come back.
const reconnects = 100

// randomTerminations ends the source's session until it has come back a hundred
// times, at random points of its life, while another session commits without a
// pause, and looks whether the last change is always seen. Half of the rounds end
// the session once more while it recovers.
func randomTerminations(t *testing.T, subject Subject) {
	w := newWorld(t, subject, subject.Empty(t))
	writer, killer := w.db.Superuser(t).Conn(t), w.db.Superuser(t).Conn(t)
	c := consume(t, w.New(t, w.db.URL, Timing{DeadAfter: time.Second, RetryWithin: 50 * time.Millisecond}), w.db.URL, nil)
	c.untilResyncs(t, 1)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // it has to be repeatable, not secret
	last := 0
	for c.countResyncs() <= reconnects {
		changes := 1 + random.IntN(30)
		wrote := make(chan int, changes)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for id := last + 1; id <= last+changes; id++ {
				if !w.tryCommit(t, writer, id) {
					return
				}
				wrote <- id
			}
		}()
		for range random.IntN(changes + 1) { // the point is one between two commits
			<-wrote
		}
		w.terminate(t, killer)
		if random.IntN(2) == 0 {
			w.terminate(t, killer)
		}
		<-done
		require.False(t, t.Failed(), "the writer has failed")
		last += changes
		c.untilSeen(t, last)
	}
}

// openAcrossConnect commits, after the source has started, what was begun before.
func openAcrossConnect(t *testing.T, subject Subject) {
	w := newWorld(t, subject, subject.Empty(t))
	conn := w.db.Conn(t)
	for round := 1; round <= 3; round++ {
		tx := w.begin(t, conn, round)
		c := consume(t, w.New(t, w.db.URL, quick()), w.db.URL, nil)
		if round == 1 { // as soon as it has a session, wherever it is with that
			w.untilSession(t)
		}
		require.NoError(t, tx.Commit(t.Context()))
		c.untilSeen(t, round)
		require.True(t, c.received()[0].Resync())
		c.stop(t)
	}
}

// oneTransaction makes a change a thousand times in one transaction. It is told as a whole, after its end.
func oneTransaction(t *testing.T, subject Subject) {
	w := newWorld(t, subject, subject.Empty(t))
	conn := w.db.Conn(t)
	c := consume(t, w.New(t, w.db.URL, Timing{}), w.db.URL, nil)
	c.untilResyncs(t, 1)
	tx := w.begin(t, conn, 1)
	for range 1000 {
		_, err := tx.Exec(t.Context(), w.Change)
		require.NoError(t, err)
	}
	require.Len(t, c.received(), 1, "nothing before the end")
	require.NoError(t, tx.Commit(t.Context()))
	c.untilSeen(t, 1)
	for _, event := range c.received()[1:] {
		require.Equal(t, notify.ChannelNew, event.Channel)
	}
}

// changesWhileDisconnected commits when the source cannot connect.
func changesWhileDisconnected(t *testing.T, subject Subject) {
	w := newWorld(t, subject, subject.Empty(t))
	conn := w.db.Superuser(t).Conn(t)
	c := consume(t, w.New(t, w.db.URL, quick()), w.db.URL, nil)
	c.untilResyncs(t, 1)

	w.allowConnections(t, false)
	require.Equal(t, w.Connections, w.terminate(t, conn))
	w.untilNoSessions(t, conn)
	before := len(c.received())
	w.commit(t, conn, 1)
	w.allowConnections(t, true)

	c.untilResyncs(t, 2)
	c.untilSeen(t, 1)
	events := c.received()
	require.Len(t, events, before+1, "what was committed without a subscription has no event")
	require.True(t, events[before].Resync())
}

func rolledBack(t *testing.T, subject Subject) {
	w := newWorld(t, subject, subject.Empty(t))
	conn := w.db.Conn(t)
	c := consume(t, w.New(t, w.db.URL, Timing{}), w.db.URL, nil)
	c.untilResyncs(t, 1)
	for range 5 {
		require.NoError(t, w.begin(t, conn, 1).Rollback(t.Context()))
	}
	w.commit(t, conn, 2) // events come in the order of commits
	c.untilEvents(t, 2)
	c.untilSeen(t, 2)
	require.Len(t, c.received(), 2, "the resync and the change that was committed")
}

// slowConsumer sends ten thousand changes during one scan: the source takes them
// all, and exactly one more scan follows.
func slowConsumer(t *testing.T, subject Subject) {
	const changes = 10_000
	w := newWorld(t, subject, subject.Empty(t))
	gate := newGate()
	c := consume(t, w.New(t, w.db.URL, Timing{}), w.db.URL, gate)
	gate.hold(t) // the scan of the resync
	w.commitMany(t, 1, changes)
	c.untilEvents(t, changes+1) // while the consumer is busy
	w.db.WaitFor(t, "SELECT pg_notification_queue_usage() < 0.001")
	gate.release()
	gate.hold(t) // the one more
	gate.release()
	c.untilSeen(t, changes)
	c.stop(t)
	require.Equal(t, 2, c.scans)
	require.Len(t, c.received(), changes+1)
	require.Empty(t, c.flag.Wait(), "a wake is left over")
}

func twoSources(t *testing.T, subject Subject) {
	w := newWorld(t, subject, subject.Empty(t))
	conn := w.db.Conn(t)
	first := consume(t, w.New(t, w.db.URL, quick()), w.db.URL, nil)
	second := consume(t, w.New(t, w.db.URL, quick()), w.db.URL, nil)
	first.untilResyncs(t, 1)
	second.untilResyncs(t, 1)
	w.commit(t, conn, 1)
	first.untilSeen(t, 1)
	second.untilSeen(t, 1)
	first.stop(t)
	w.commit(t, conn, 2)
	second.untilSeen(t, 2)
}

func otherDatabase(t *testing.T, subject Subject) {
	here, there := newWorld(t, subject, subject.Empty(t)), newWorld(t, subject, subject.Empty(t))
	conn := here.db.Conn(t)
	c := consume(t, here.New(t, here.db.URL, Timing{}), here.db.URL, nil)
	c.untilResyncs(t, 1)
	there.commit(t, there.db.Conn(t), 7)
	here.commit(t, conn, 1)
	c.untilEvents(t, 2)
	require.Len(t, c.received(), 2, "the resync and the change here")
}
