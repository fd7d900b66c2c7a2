package initialize_test

import (
	"context"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// pooler pools by transaction, as pgbouncer does: a client gets whichever server
// connection is free, for as long as a transaction is open on it.
type pooler struct {
	inTurn  bool // and not the last used one first
	clients sync.WaitGroup

	mu   sync.Mutex
	free *sync.Cond
	idle []*pgconn.HijackedConn
}

const poolSize = 2

func (p *pooler) take() *pgconn.HijackedConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) == 0 {
		p.free.Wait()
	}
	server := p.idle[0]
	p.idle = p.idle[1:]
	return server
}

func (p *pooler) give(server *pgconn.HijackedConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inTurn {
		p.idle = append(p.idle, server)
	} else {
		p.idle = append([]*pgconn.HijackedConn{server}, p.idle...)
	}
	p.free.Signal()
}

// newPooler returns the URL of a pooler in front of upstream.
func newPooler(t *testing.T, upstream string, inTurn bool) string {
	t.Helper()
	p := &pooler{inTurn: inTurn}
	p.free = sync.NewCond(&p.mu)
	for range poolSize {
		conn, err := pgconn.Connect(t.Context(), upstream)
		require.NoError(t, err)
		hijacked, err := conn.Hijack()
		require.NoError(t, err)
		p.give(hijacked)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p.clients.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			p.clients.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.clients.Wait()
		for range poolSize {
			_ = p.take().Conn.Close() // the server finds out
		}
	})
	parsed, err := url.Parse(upstream)
	require.NoError(t, err)
	parsed.Host = listener.Addr().String()
	return parsed.String()
}

func (p *pooler) serve(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // the client has what it came for
	client := pgproto3.NewBackend(conn, conn)
	if _, err := client.ReceiveStartupMessage(); err != nil {
		return
	}
	client.Send(&pgproto3.AuthenticationOk{})
	client.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: "15.0 (pooler)"})
	client.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	client.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	client.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
	client.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if client.Flush() != nil {
		return
	}
	for p.transaction(client) {
	}
}

// transaction relays until no transaction is open any more. It reports whether the
// client goes on.
func (p *pooler) transaction(client *pgproto3.Backend) bool {
	message, err := client.Receive()
	if _, bye := message.(*pgproto3.Terminate); bye || err != nil {
		return false
	}
	server := p.take()
	defer p.give(server)
	for {
		server.Frontend.Send(message)
		if ends(message) {
			status, ok := relayAnswer(client, server.Frontend)
			if !ok || status == 'I' {
				return ok
			}
		}
		if message, err = client.Receive(); err != nil {
			return false
		}
	}
}

// ends reports whether the server answers a message with ReadyForQuery.
func ends(message pgproto3.FrontendMessage) bool {
	switch message.(type) {
	case *pgproto3.Query, *pgproto3.Sync:
		return true
	default:
		return false
	}
}

func relayAnswer(client *pgproto3.Backend, server *pgproto3.Frontend) (status byte, ok bool) {
	if server.Flush() != nil {
		return 0, false
	}
	for {
		message, err := server.Receive()
		if err != nil {
			return 0, false
		}
		client.Send(message)
		if ready, is := message.(*pgproto3.ReadyForQuery); is {
			return ready.TxStatus, client.Flush() == nil
		}
	}
}

func TestTransactionPoolerIsRefused(t *testing.T) {
	t.Parallel()
	for name, inTurn := range map[string]bool{"in turn": true, "last one first": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t)
			s.write(t, two)
			direct := s.spec.Connect
			pooled := newPooler(t, s.URL, inTurn)
			s.spec.Connect = func(ctx context.Context, application, database string) (*pgx.Conn, error) {
				return connect(ctx, pooled, application, database)
			}
			_, err := initialize.Apply(t.Context(), s.spec)
			refused(t, err, initialize.RefusedPooler)
			require.Empty(t, s.tables(t))
			require.Zero(t, pgtest.One[int](t, s.Database, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 7704 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"), "nothing is left in the pooler's sessions")

			s.spec.Connect = direct
			s.apply(t)
		})
	}
}
