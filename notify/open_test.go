package notify_test

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/notify"
)

func TestSettingsOfTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(t)
		require.NoError(t, server.listener(t, notify.ListenerConfig{}).Check(t.Context()))
		require.Equal(t, map[string]string{
			"user":                                "user",
			"database":                            "db",
			"application_name":                    "bbmd/listener",
			"idle_session_timeout":                "0",
			"tcp_keepalives_idle":                 "15",
			"tcp_keepalives_interval":             "5",
			"tcp_keepalives_count":                "3",
			"tcp_user_timeout":                    "30000",
			"client_connection_check_interval":    "10000",
			"statement_timeout":                   "10000",
			"lock_timeout":                        "10000",
			"idle_in_transaction_session_timeout": "10000",
		}, server.startup)
	})
}

func TestSettingsThatTheServerDoesNotKnowAreLeftOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(t)
		server.unknown = []string{"client_connection_check_interval", "idle_session_timeout", "tcp_user_timeout"}
		l := server.listener(t, notify.ListenerConfig{})
		require.NoError(t, l.Check(t.Context()))
		require.NotContains(t, server.startup, "idle_session_timeout")
		require.Contains(t, server.startup, "tcp_keepalives_idle")
		require.Len(t, server.dials, 4)
		require.NoError(t, l.Check(t.Context()))
		require.Len(t, server.dials, 5, "it remembers")
	})
}

func TestPoolerThatTakesNoSettings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(t)
		server.unknown = []string{"tcp_user_timeout", "statement_timeout", "idle_session_timeout", "lock_timeout"}
		server.pooler = true
		require.NoError(t, server.listener(t, notify.ListenerConfig{}).Check(t.Context()))
		require.Equal(t, map[string]string{
			"user": "user", "database": "db", "application_name": "bbmd/listener",
		}, server.startup)
		require.Len(t, server.dials, 2, "not one try per setting")
	})
}

func TestSettingOfTheUserIsNotLeftOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(t)
		server.unknown = []string{"search_path"}
		l, err := notify.NewListener(notify.ListenerConfig{URL: secretURL + "&search_path=x&statement_timeout=7&application_name=mine"})
		require.NoError(t, err)
		l.SetDial(server.dial)
		require.ErrorContains(t, l.Check(t.Context()), `unrecognized configuration parameter "search_path"`)
		require.Equal(t, "7", server.startup["statement_timeout"], "the user's value wins")
		require.Equal(t, "bbmd/listener", server.startup["application_name"], "but not for the name")
	})
}

func TestConnectionsThatCannotListen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(*fakeServer)
		want    error
		text    string
	}{
		"the next statement runs elsewhere": {
			prepare: func(s *fakeServer) { s.verified = "4712" },
			want:    notify.ErrTransactionPooler,
			text:    "transaction pooler",
		},
		"a channel is gone": {
			prepare: func(s *fakeServer) { s.missing = notify.ChannelStatus },
			want:    notify.ErrTransactionPooler,
			text:    "set listen_url to a direct connection",
		},
		"a standby that says so": {
			prepare: func(s *fakeServer) { s.params = map[string]string{"in_hot_standby": "on"} },
			want:    notify.ErrStandby,
			text:    "point listen_url at the primary",
		},
		"a standby that refuses": {
			prepare: func(s *fakeServer) {
				s.onListen = &pgproto3.ErrorResponse{
					Severity: "ERROR", Code: "25006", Message: "cannot execute LISTEN during recovery",
				}
			},
			want: notify.ErrStandby,
			text: "hot standby",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := newFakeServer(t)
				c.prepare(server)
				var log bytes.Buffer
				events := &recorder{}
				l := server.listener(t, notify.ListenerConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))})
				stop := start(t, l, events.deliver)
				advance(time.Minute)
				state := l.State()
				stop()
				require.ErrorIs(t, state.Err, c.want)
				require.ErrorContains(t, state.Err, c.text)
				require.False(t, state.Connected)
				require.Empty(t, events.all(), "nothing is delivered on a connection that cannot listen")
				require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("\n")), "told once: %s", log.String())
				level := "level=ERROR"
				if errors.Is(c.want, notify.ErrStandby) { // it may be promoted
					level = "level=WARN"
				}
				require.Contains(t, log.String(), level)
			})
		})
	}
}

// PostgreSQL lost track of a transaction's status at times, until a fix of 2025.
func TestListenIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(t)
		server.onListen = &pgproto3.ErrorResponse{
			Severity: "ERROR", Code: "58P01", Message: "could not access status of transaction 731",
		}
		l := server.listener(t, notify.ListenerConfig{})
		stop := start(t, l, func(notify.Event) {})
		advance(time.Second)
		require.ErrorContains(t, l.State().Err, "listen: ERROR: could not access status of transaction 731")
		server.set(func() { server.onListen = nil })
		advance(time.Minute)
		require.True(t, l.State().Connected)
		stop()
	})
}

func TestSilentServerAtStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(t)
		server.stuck = true
		before := time.Now()
		err := server.listener(t, notify.ListenerConfig{}).Check(t.Context())
		require.ErrorContains(t, err, "listen: read from server: no answer within 10s")
		require.Equal(t, 10*time.Second, time.Since(before))
	})
}
