package notify_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/notify"
)

func TestIdleSendsExactlyOnePingAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(t)
		stop := start(t, server.listener(t, notify.ListenerConfig{}), func(notify.Event) {})
		advance(3*time.Minute + 30*time.Second)
		stop()
		_, pings := server.seen()
		require.Equal(t, []time.Duration{time.Minute, 2 * time.Minute, 3 * time.Minute}, pings)
		require.Len(t, server.queries, 2, "LISTEN and its verification are all that is said: %q", server.queries)
	})
}

func TestPingIsMeasuredFromTheLastTraffic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(t)
		stop := start(t, server.listener(t, notify.ListenerConfig{}), func(notify.Event) {})
		advance(50 * time.Second)
		server.send(notification(notify.ChannelNew, ""))
		advance(40 * time.Second)
		server.send(notification("somebody_elses", ""))
		advance(2*time.Minute + time.Second)
		stop()
		_, pings := server.seen()
		require.Equal(t, []time.Duration{150 * time.Second, 210 * time.Second}, pings)
	})
}

func TestUnansweredPingEndsTheConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(t)
		server.mute = true
		events := &recorder{}
		l := server.listener(t, notify.ListenerConfig{})
		stop := start(t, l, events.deliver)
		advance(71 * time.Second)
		stop()
		dials, _ := server.seen()
		require.Equal(t, []time.Duration{0, 70 * time.Second}, dials, "given up after the time-out, reconnected at once")
		require.Equal(t, []notify.Event{{}, {}}, events.all())
		require.ErrorContains(t, l.State().Err, "ping: no answer within 10s")
	})
}

func TestPeerThatSpeaksButNeverAnswersThePing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(t)
		server.mute = true
		stop := start(t, server.listener(t, notify.ListenerConfig{}), func(notify.Event) {})
		advance(65 * time.Second) // the ping is on its way
		server.send(notification(notify.ChannelNew, ""))
		advance(9 * time.Second) // past 70 s, when silence would have been enough
		dials, _ := server.seen()
		require.Len(t, dials, 1, "a peer that speaks is there")
		advance(2 * time.Second)
		dials, _ = server.seen()
		require.Len(t, dials, 2, "the ping is still open, and now it is silent")
		stop()
	})
}

func TestServerThatEndsTheSession(t *testing.T) {
	t.Parallel()
	for name, msg := range map[string]pgproto3.BackendMessage{
		"terminating connection due to administrator command": &pgproto3.ErrorResponse{
			Severity: "FATAL", Code: "57P01", Message: "terminating connection due to administrator command",
		},
		"unexpected message": &pgproto3.CopyInResponse{},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := newFakeServer(t)
				events := &recorder{}
				l := server.listener(t, notify.ListenerConfig{})
				stop := start(t, l, events.deliver)
				synctest.Wait()
				server.send(msg)
				synctest.Wait()
				require.ErrorContains(t, l.State().Err, name)
				require.True(t, l.State().Connected, "reconnected at once")
				stop()
				require.Equal(t, []notify.Event{{}, {}}, events.all())
			})
		})
	}
}

func TestOnlyOurChannelsAreDelivered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(t)
		events := &recorder{}
		l := server.listener(t, notify.ListenerConfig{})
		stop := start(t, l, events.deliver)
		advance(time.Second)
		for _, channel := range []string{notify.ChannelProgress, "other", "", notify.ChannelStatus, "BBM_NEW", notify.ChannelForceRecreate} {
			server.send(notification(channel, "\xff\x01 anything"))
		}
		synctest.Wait()
		state := l.State()
		stop()
		require.Equal(t, []notify.Event{
			{},
			{Channel: notify.ChannelProgress, Payload: "\xff\x01 anything"},
			{Channel: notify.ChannelStatus, Payload: "\xff\x01 anything"},
			{Channel: notify.ChannelForceRecreate, Payload: "\xff\x01 anything"},
		}, events.all())
		require.EqualValues(t, 3, state.Notifications)
		require.EqualValues(t, 3, state.Ignored)
		require.Equal(t, server.start.Add(time.Second).UnixNano(), state.LastNotification.UnixNano())
	})
}
