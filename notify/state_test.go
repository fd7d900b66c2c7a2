package notify_test

import (
	"bytes"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/notify"
)

func TestStateOverAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(t)
		var told []bool
		l := server.listener(t, notify.ListenerConfig{OnChange: func(s notify.State) { told = append(told, s.Connected) }})
		require.Zero(t, l.State(), "before Run")

		stop := start(t, l, func(notify.Event) {})
		synctest.Wait()
		require.Equal(t, notify.State{
			Connected: true, Since: server.start, BackendPID: fakePID, Connects: 1,
		}, l.State())

		advance(time.Minute + time.Second)
		server.set(func() { server.refuse = 1 })
		server.hangUp()
		synctest.Wait()
		lost := l.State()
		require.False(t, lost.Connected)
		require.Zero(t, lost.BackendPID)
		require.EqualValues(t, 2, lost.Failures, "the connection, and the retry that was refused")
		require.ErrorIs(t, lost.Err, errRefused)
		require.Equal(t, server.start.Add(time.Minute+time.Second), lost.Since)

		advance(time.Second)
		back := l.State()
		require.True(t, back.Connected)
		require.EqualValues(t, 1, back.Reconnects())
		require.Equal(t, lost.Err, back.Err, "the reason of the last outage stays")
		require.Equal(t, lost.ErrAt, back.ErrAt)

		stop()
		require.False(t, l.State().Connected)
		require.Equal(t, []bool{false, true, false, false, true, false}, told)
	})
}

func TestAnOutageIsToldOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(t)
		var log bytes.Buffer
		l := server.listener(t, notify.ListenerConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		stop := start(t, l, func(notify.Event) {})
		synctest.Wait()
		server.set(func() { server.refuse = 20 })
		server.hangUp()
		advance(time.Hour)
		stop()
		require.Equal(t, 2, bytes.Count(log.Bytes(), []byte("level=INFO msg=\"listening for events\"")))
		require.Equal(t, 2, bytes.Count(log.Bytes(), []byte("level=WARN")), "lost, and why it does not come back: %s", log.String())
		require.NotContains(t, log.String(), "hunter2")
	})
}
