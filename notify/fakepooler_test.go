package notify_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
)

// pooler is a connection pooler in front of a real server. As those do, it makes
// up the process number that a client is told.
type pooler struct {
	url     string // of the database, through the pooler
	target  string
	session bool // a server connection per client, else per transaction
	robin   bool // take turns, else use the connection that was used last
	socket  net.Listener
	group   sync.WaitGroup

	mu      sync.Mutex
	free    []*pgconn.HijackedConn
	clients []net.Conn
}

func startPooler(t *testing.T, target string, size int, p *pooler) *pooler {
	t.Helper()
	parsed, err := url.Parse(target)
	require.NoError(t, err)
	p.socket, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p.target = target
	parsed.Host = p.socket.Addr().String()
	p.url = parsed.String()
	for range size {
		p.free = append(p.free, p.open(t.Context()))
	}
	p.group.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *pooler) open(ctx context.Context) *pgconn.HijackedConn {
	conn, err := pgconn.Connect(ctx, p.target)
	if err != nil {
		panic(err)
	}
	hijacked, err := conn.Hijack()
	if err != nil {
		panic(err)
	}
	return hijacked
}

func (p *pooler) accept() {
	for {
		client, err := p.socket.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.clients = append(p.clients, client)
		p.mu.Unlock()
		p.group.Go(func() {
			defer func() { _ = client.Close() }()
			p.serve(client)
		})
	}
}

func (p *pooler) serve(client net.Conn) {
	backend := pgproto3.NewBackend(client, client)
	if _, err := backend.ReceiveStartupMessage(); err != nil {
		return
	}
	backend.Send(&pgproto3.AuthenticationOk{})
	backend.Send(&pgproto3.BackendKeyData{ProcessID: 1 << 30, SecretKey: []byte{1, 2, 3, 4}})
	backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if backend.Flush() != nil {
		return
	}
	if p.session {
		p.relaySession(client)
		return
	}
	for {
		msg, err := backend.Receive()
		if err != nil {
			return
		}
		query, ok := msg.(*pgproto3.Query)
		if !ok || p.relayQuery(backend, query) != nil {
			return
		}
	}
}

// relaySession joins a client with a server connection for as long as it stays.
func (p *pooler) relaySession(client net.Conn) {
	server := p.open(context.Background())
	defer func() { _ = server.Conn.Close() }()
	p.group.Go(func() { _, _ = io.Copy(client, server.Conn) })
	_, _ = io.Copy(server.Conn, client)
}

// relayQuery runs one query on whatever server connection is next.
func (p *pooler) relayQuery(backend *pgproto3.Backend, query *pgproto3.Query) error {
	server := p.take()
	defer p.giveBack(server)
	server.Frontend.Send(query)
	if err := server.Frontend.Flush(); err != nil {
		return err
	}
	for {
		msg, err := server.Frontend.Receive()
		if err != nil {
			return err
		}
		backend.Send(msg)
		if err := backend.Flush(); err != nil {
			return err
		}
		if _, ok := msg.(*pgproto3.ReadyForQuery); ok {
			return nil
		}
	}
}

func (p *pooler) take() *pgconn.HijackedConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	server := p.free[0]
	p.free = p.free[1:]
	return server
}

func (p *pooler) giveBack(server *pgconn.HijackedConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.robin {
		p.free = append(p.free, server)
	} else {
		p.free = append([]*pgconn.HijackedConn{server}, p.free...)
	}
}

func (p *pooler) close() {
	_ = p.socket.Close()
	p.mu.Lock()
	for _, client := range p.clients {
		_ = client.SetDeadline(time.Unix(1, 0))
		_ = client.Close()
	}
	p.mu.Unlock()
	p.group.Wait()
	for _, server := range p.free {
		_ = server.Conn.Close()
	}
}
