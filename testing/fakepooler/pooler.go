package fakepooler

import (
	"context"
	"io"
	"net"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// Mode is how a pooler chooses the server connection for a client.
type Mode int

// The modes.
const (
	// InTurn gives each transaction of a client to another server connection than its last one.
	InTurn Mode = iota
	// LastUsed gives each transaction to the server connection that was used last: one client alone gets the same
	// one all the time, and what it leaves in the session seems to last.
	LastUsed
	// Session gives each client a server connection of its own.
	Session
)

// size is how many server connections there are by transaction: enough for clients that
// hold some while others of theirs wait for one that is not their last.
const size = 8

// pooler is what is behind one address.
type pooler struct {
	upstream string
	mode     Mode
	socket   net.Listener
	group    sync.WaitGroup

	mu      sync.Mutex
	freed   *sync.Cond
	free    []*pgconn.HijackedConn // nil: one that could not be opened again
	clients []net.Conn
	closed  bool
}

// Start returns the URL of the database upstream, which is a URL, through a pooler. The test's cleanup ends it and
// its clients.
func Start(tb testing.TB, upstream string, mode Mode) string {
	tb.Helper()
	p := &pooler{upstream: upstream, mode: mode}
	p.freed = sync.NewCond(&p.mu)
	parsed, err := url.Parse(upstream)
	if err != nil {
		tb.Fatalf("read the server's address: %v", err)
	}
	for i := 0; i < size && mode != Session; i++ {
		server, err := p.open(tb.Context())
		if err != nil {
			tb.Fatalf("connect to the server: %v", err)
		}
		p.give(server)
	}
	p.socket, err = (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("open the pooler's address: %v", err)
	}
	p.group.Go(p.accept)
	tb.Cleanup(p.close)
	query := parsed.Query()
	query.Del("host") // they would win
	query.Del("port")
	parsed.Host, parsed.RawQuery = p.socket.Addr().String(), query.Encode()
	return parsed.String()
}

func (p *pooler) open(ctx context.Context) (*pgconn.HijackedConn, error) {
	conn, err := pgconn.Connect(ctx, p.upstream)
	if err != nil {
		return nil, err
	}
	return conn.Hijack()
}

func (p *pooler) close() {
	_ = p.socket.Close()
	p.mu.Lock()
	p.closed = true
	for _, client := range p.clients {
		_ = client.Close() // whoever reads from it ends
	}
	p.mu.Unlock()
	p.group.Wait()
	for _, server := range p.free {
		if server != nil {
			_ = server.Conn.Close() // the server finds out
		}
	}
}

func (p *pooler) accept() {
	for {
		client, err := p.socket.Accept()
		if err != nil {
			return
		}
		p.group.Go(func() {
			defer func() { _ = client.Close() }()
			if p.admit(client) {
				p.serve(client)
			}
		})
	}
}

// admit remembers a client for the end, unless that has come.
func (p *pooler) admit(client net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clients = append(p.clients, client)
	return !p.closed
}

func (p *pooler) serve(conn net.Conn) {
	client := pgproto3.NewBackend(conn, conn)
	if _, err := client.ReceiveStartupMessage(); err != nil {
		return
	}
	client.Send(&pgproto3.AuthenticationOk{})
	client.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: "15.0 (pooler)"})
	client.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	client.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	client.Send(&pgproto3.BackendKeyData{ProcessID: 1 << 30, SecretKey: []byte{0, 0, 0, 1}})
	client.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if client.Flush() != nil {
		return
	}
	if p.mode == Session {
		p.join(conn, client)
		return
	}
	var last *pgconn.HijackedConn
	for again := true; again; {
		last, again = p.transaction(client, last)
	}
}

// join joins a client with a server connection for as long as it stays.
func (p *pooler) join(conn net.Conn, client *pgproto3.Backend) {
	server, err := p.open(context.Background())
	if err != nil {
		return
	}
	defer func() { _ = server.Conn.Close() }()
	p.group.Go(func() {
		// By the frontend, which has what pgconn may have read ahead.
		for flushed := error(nil); flushed == nil; flushed = client.Flush() {
			message, err := server.Frontend.Receive()
			if err != nil {
				return
			}
			client.Send(message)
		}
	})
	_, _ = io.Copy(server.Conn, conn)
}

// transaction relays until no transaction is open any more. It returns the server connection
// that it used, last being the one before, and reports whether the client goes on.
func (p *pooler) transaction(client *pgproto3.Backend, last *pgconn.HijackedConn) (used *pgconn.HijackedConn, again bool) {
	message, err := client.Receive()
	if _, bye := message.(*pgproto3.Terminate); bye || err != nil {
		return nil, false
	}
	server := p.take(last)
	if server == nil {
		p.give(nil)
		return nil, false
	}
	for {
		server.Frontend.Send(message)
		if isAnswered(message) {
			status, ok := answer(client, server.Frontend)
			if ok && status == 'I' {
				p.give(server) // before the client, and who waits for it, knows that the transaction has ended
				return server, client.Flush() == nil
			}
			if !ok || client.Flush() != nil {
				break
			}
		}
		if message, err = client.Receive(); err != nil {
			break
		}
	}
	_ = server.Conn.Close() // who knows what is open there
	if server, err = p.open(context.Background()); err != nil {
		server = nil
	}
	p.give(server)
	return nil, false
}

// take waits for a free server connection, of those in turn for one that is not last.
func (p *pooler) take(last *pgconn.HijackedConn) *pgconn.HijackedConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for i, server := range p.free {
			if p.mode == LastUsed || server == nil || server != last {
				p.free = slices.Delete(p.free, i, i+1)
				return server
			}
		}
		p.freed.Wait()
	}
}

func (p *pooler) give(server *pgconn.HijackedConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mode == LastUsed {
		p.free = append([]*pgconn.HijackedConn{server}, p.free...)
	} else {
		p.free = append(p.free, server)
	}
	p.freed.Broadcast() // one who waits may not want this one
}

// isAnswered reports whether the server answers a message with ReadyForQuery.
func isAnswered(message pgproto3.FrontendMessage) bool {
	switch message.(type) {
	case *pgproto3.Query, *pgproto3.Sync:
		return true
	default:
		return false
	}
}

// answer takes what the server says up to ReadyForQuery, which the client gets with the next flush, and returns the status
// of the transaction then.
func answer(client *pgproto3.Backend, server *pgproto3.Frontend) (status byte, ok bool) {
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
			return ready.TxStatus, true
		}
	}
}
