package notify_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/notify"
)

func TestFirstRetryComesAtOnceThenTheyBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(t)
		server.refuse = 1000
		l := server.listener(t, notify.ListenerConfig{RetryMin: time.Second, RetryMax: 8 * time.Second})
		stop := start(t, l, func(notify.Event) {})
		advance(10 * time.Minute)
		stop()
		dials, _ := server.seen()
		require.Equal(t, time.Duration(0), dials[1], "first retry")
		for i, seconds := range []int{1, 2, 4, 8, 8, 8, 8} {
			want := time.Duration(seconds) * time.Second
			gap := dials[i+2] - dials[i+1]
			require.GreaterOrEqual(t, gap, want/2, "retry %d", i+2)
			require.LessOrEqual(t, gap, want*3/2, "retry %d", i+2)
		}
		state := l.State()
		require.EqualValues(t, len(dials), state.Failures)
		require.Zero(t, state.Reconnects())
	})
}

// A box that cuts idle sessions now and then must not make the listener deaf for
// longer each time.
func TestHealthyPeriodResetsTheBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(t)
		server.refuse = 6
		l := server.listener(t, notify.ListenerConfig{RetryMin: time.Minute, RetryMax: time.Hour})
		stop := start(t, l, func(notify.Event) {})
		for range 5 {
			for !l.State().Connected {
				advance(time.Second)
			}
			advance(4 * time.Second)
			server.hangUp()
			synctest.Wait()
			require.True(t, l.State().Connected, "reconnected without any delay")
		}
		require.EqualValues(t, 5, l.State().Reconnects())
		stop()
	})
}

func TestConnectionsThatDieAtOnceAreSlowedDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(t)
		l := server.listener(t, notify.ListenerConfig{})
		stop := start(t, l, func(notify.Event) { go server.hangUp() })
		advance(time.Minute)
		dials, _ := server.seen()
		require.Less(t, len(dials), 20)
		require.Greater(t, len(dials), 5)
		stop()
	})
}

func TestRunReturnsTheCause(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*fakeServer){
		"while listening":           func(*fakeServer) {},
		"between attempts":          func(s *fakeServer) { s.refuse = 1000 },
		"while the LISTEN is stuck": func(s *fakeServer) { s.stuck = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := newFakeServer(t)
				prepare(server)
				l := server.listener(t, notify.ListenerConfig{RetryMin: time.Hour})
				stop := start(t, l, func(notify.Event) {})
				advance(3 * time.Second)
				before := time.Now()
				stop()
				require.Zero(t, time.Since(before), "it does not linger")
				require.False(t, l.State().Connected)
				require.Zero(t, l.State().BackendPID)
			})
		})
	}
}

func TestRunWithAnEndedContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errEnough)
	l, err := notify.NewListener(notify.ListenerConfig{URL: secretURL})
	require.NoError(t, err)
	require.ErrorIs(t, l.Run(ctx, func(notify.Event) { t.Error("delivered") }), errEnough)
}

func TestRunTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(t)
		l := server.listener(t, notify.ListenerConfig{})
		stop := start(t, l, func(notify.Event) {})
		synctest.Wait()
		require.ErrorIs(t, l.Run(t.Context(), func(notify.Event) {}), notify.ErrRunning)
		stop()
		stop = start(t, l, func(notify.Event) {})
		synctest.Wait()
		require.True(t, l.State().Connected, "one after the other is fine")
		stop()
	})
}
