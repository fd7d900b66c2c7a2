package notify_test

import (
	"context"
	"io"
	"net"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/notify"
)

func FuzzNotification(f *testing.F) {
	f.Add("bbm_new", "")
	f.Add("bbm_status", `{"id":1}`)
	f.Add("", "x")
	f.Add("bbm_new ", "\x00\xff")
	f.Fuzz(func(t *testing.T, channel, payload string) {
		event, ok := notify.Known(channel, payload)
		require.Equal(t, slices.Contains(notify.Channels(), channel), ok)
		if !ok {
			require.Zero(t, event)
			return
		}
		require.Equal(t, notify.Event{Channel: channel, Payload: payload}, event)
		require.False(t, event.Resync(), "no notification passes for a resync")
	})
}

// Whatever a server or a box in between sends, it ends in an error, and nothing
// but events of our channels comes out of it.
func FuzzServerBytes(f *testing.F) {
	var good []byte
	for _, msg := range []pgproto3.BackendMessage{
		notification(notify.ChannelNew, "x"), &pgproto3.EmptyQueryResponse{}, &pgproto3.ReadyForQuery{TxStatus: 'I'},
		&pgproto3.ParameterStatus{Name: "a", Value: "b"}, &pgproto3.NoticeResponse{Message: "m"},
		notification("other", "y"), &pgproto3.ErrorResponse{Severity: "FATAL", Code: "57P01"},
	} {
		data, err := msg.Encode(nil)
		require.NoError(f, err)
		good = append(good, data...)
		f.Add(data)
	}
	f.Add(good)
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Add([]byte{'A', 0xff, 0xff, 0xff, 0xff, 0})
	l, err := notify.NewListener(notify.ListenerConfig{URL: secretURL})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, data []byte) {
		client, server := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, server) }()
		go func() {
			_, _ = server.Write(data)
			_ = server.Close()
		}()
		err := l.WaitOn(context.Background(), client, func(e notify.Event) {
			if !slices.Contains(notify.Channels(), e.Channel) {
				t.Errorf("delivered %q", e.Channel)
			}
		})
		require.Error(t, err)
	})
}

// BenchmarkDeliver is the way from the socket to the receiver, without a socket.
func BenchmarkDeliver(b *testing.B) {
	l, err := notify.NewListener(notify.ListenerConfig{URL: secretURL})
	require.NoError(b, err)
	client, server := net.Pipe()
	data, err := notification(notify.ChannelNew, "42").Encode(nil)
	require.NoError(b, err)
	b.ReportAllocs()
	go func() {
		for range b.N {
			_, _ = server.Write(data)
		}
		_ = server.Close()
	}()
	flag := notify.NewFlag()
	b.ResetTimer()
	_ = l.WaitOn(context.Background(), client, func(notify.Event) { flag.Set() })
}
