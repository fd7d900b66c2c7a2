package notify_test

import (
	"context"
	"encoding/binary"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/notify"
)

// sender is the server's end of a stream.
type sender struct {
	t       *testing.T
	backend *pgproto3.Backend
	status  chan []byte // what the receiver reports
	ended   chan error
	behind  atomic.Uint64
}

func newSender(t *testing.T) *sender {
	t.Helper()
	client, server := net.Pipe()
	s := &sender{t: t, backend: pgproto3.NewBackend(server, server), status: make(chan []byte, 100), ended: make(chan error, 1)}
	go func() {
		s.ended <- notify.ReceiveOn(context.Background(), client, time.Minute, func(notify.Event) {}, s.behind.Store)
	}()
	go func() {
		for {
			msg, err := s.backend.Receive()
			if err != nil {
				return
			}
			if data, ok := msg.(*pgproto3.CopyData); ok {
				s.status <- append([]byte(nil), data.Data...)
			}
		}
	}()
	t.Cleanup(func() { _ = server.Close() })
	return s
}

func (s *sender) copyData(data []byte) {
	s.t.Helper()
	s.backend.Send(&pgproto3.CopyData{Data: data})
	require.NoError(s.t, s.backend.Flush())
	synctest.Wait()
}

func (s *sender) keepalive(end uint64, reply byte) {
	s.t.Helper()
	s.copyData(append(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte{'k'}, end), 0), reply))
}

func (s *sender) change(message pgout) {
	s.t.Helper()
	s.copyData(append(append([]byte{'w'}, make([]byte, 24)...), message...))
}

// reported takes the next report: the position, and whether an answer is asked for.
func (s *sender) reported() (position uint64, ping bool) {
	s.t.Helper()
	select {
	case status := <-s.status:
		require.Len(s.t, status, 34)
		require.Equal(s.t, byte('r'), status[0])
		require.Equal(s.t, status[1:9], status[9:17], "flushed")
		require.Equal(s.t, status[1:9], status[17:25], "applied")
		return binary.BigEndian.Uint64(status[1:9]), status[33] == 1
	default:
		require.FailNow(s.t, "nothing is reported")
		return 0, false
	}
}

func TestKeepalivesAreAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSender(t)
		s.keepalive(100, 0)
		require.Empty(t, s.status, "nobody has asked")
		s.keepalive(200, 1)
		position, ping := s.reported()
		require.EqualValues(t, 200, position)
		require.False(t, ping)

		s.change(begin(1))
		s.keepalive(300, 1)
		position, _ = s.reported()
		require.EqualValues(t, 200, position, "a transaction is half received")
		s.change(commit(250))
		s.keepalive(240, 1)
		position, _ = s.reported()
		require.EqualValues(t, 250, position, "it never goes back")
	})
}

// What the server has read and nobody acknowledged is what the slot keeps.
func TestWhatIsNotAcknowledgedIsMeasured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSender(t)
		s.keepalive(100, 0)
		require.Zero(t, s.behind.Load(), "the slot begins there")
		s.keepalive(300, 0)
		require.EqualValues(t, 200, s.behind.Load(), "nobody has asked")
		s.keepalive(400, 1)
		require.Zero(t, s.behind.Load())

		s.change(begin(1))
		s.keepalive(1000, 1)
		require.EqualValues(t, 600, s.behind.Load(), "a transaction is half received")
		s.change(commit(900))
		s.keepalive(1000, 1)
		require.Zero(t, s.behind.Load())
		s.keepalive(700, 0)
		require.Zero(t, s.behind.Load(), "it never goes back")
	})
}

func TestTrafficIsAcknowledged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSender(t)
		for i := range uint64(25) {
			s.keepalive(i, 0)
			advance(time.Second)
		}
		first, _ := s.reported()
		second, _ := s.reported()
		require.EqualValues(t, 10, first)
		require.EqualValues(t, 20, second)
		require.Empty(t, s.status)
	})
}

func TestSilentServerIsAskedThenGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSender(t)
		s.keepalive(100, 0)
		advance(61 * time.Second)
		position, ping := s.reported()
		require.True(t, ping)
		require.EqualValues(t, 100, position)
		s.keepalive(100, 0) // the answer
		advance(50 * time.Second)
		require.Empty(t, s.status)
		advance(11 * time.Second)
		_, ping = s.reported()
		require.True(t, ping)
		advance(61 * time.Second)
		require.ErrorContains(t, <-s.ended, "ping: no answer within 1m0s")
	})
}
