package notify_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/notify"
	"github.com/bbmd-dev/bbmd/testing/fakepooler"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestTransactionPoolerIsRecognised(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]fakepooler.Mode{
		"by the next statement on another server connection": fakepooler.InTurn,
		// An idle pooler gives every statement to the same server connection, so
		// that LISTEN seems to last. Only a notification tells.
		"by a notification that does not arrive": fakepooler.LastUsed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := notify.NewListener(notify.ListenerConfig{URL: fakepooler.Start(t, pgtest.NewEmpty(t).URL, mode)})
			require.NoError(t, err)
			err = l.Check(t.Context())
			require.ErrorIs(t, err, notify.ErrTransactionPooler)
			require.ErrorContains(t, err, "set listen_url to a direct connection")
		})
	}
}

func TestSessionPoolerIsFine(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	l, err := notify.NewListener(notify.ListenerConfig{URL: fakepooler.Start(t, db.URL, fakepooler.Session)})
	require.NoError(t, err)
	events := make(chan notify.Event, 10)
	stop := start(t, l, func(e notify.Event) { events <- e })
	require.Equal(t, notify.Event{}, receive(t, events))
	db.Exec(t, "NOTIFY bbm_status, 'x'")
	require.Equal(t, notify.Event{Channel: notify.ChannelStatus, Payload: "x"}, receive(t, events))
	stop()
	require.Zero(t, l.State().Ignored, "the proof leaves nothing behind")
}

func receive(t *testing.T, events <-chan notify.Event) notify.Event {
	t.Helper()
	select {
	case event := <-events:
		return event
	case <-time.After(time.Minute):
		require.FailNow(t, "no event")
		return notify.Event{}
	}
}
