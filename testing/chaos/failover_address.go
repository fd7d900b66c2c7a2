package chaos

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// address is one that leads to a server, and later to another one. As with DNS or a
// Service, connections that are there stay where they are.
type address struct {
	url    string // to reach the server by it
	socket net.Listener
	group  sync.WaitGroup

	mu     sync.Mutex
	target string
	open   map[net.Conn]struct{} // both sides of each connection
}

// newAddress returns an address of the server at serverURL. It ends with the test.
func newAddress(tb testing.TB, serverURL string) *address {
	tb.Helper()
	var config net.ListenConfig
	socket, err := config.Listen(tb.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	a := &address{socket: socket, open: map[net.Conn]struct{}{}}
	a.lead(tb, serverURL)
	through, _ := url.Parse(serverURL) // lead has looked
	through.Host = socket.Addr().String()
	a.url = through.String()
	ctx := context.WithoutCancel(tb.Context())
	a.group.Go(func() { a.accept(ctx) })
	tb.Cleanup(a.close)
	return a
}

// lead has new connections go to the server at serverURL.
func (a *address) lead(tb testing.TB, serverURL string) {
	tb.Helper()
	server, err := url.Parse(serverURL)
	if err != nil {
		tb.Fatal("the server's address is not a URL") // the error would show the password
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.target = server.Host
}

func (a *address) accept(ctx context.Context) {
	var dialer net.Dialer
	for {
		client, err := a.socket.Accept()
		if err != nil {
			return
		}
		a.mu.Lock()
		target := a.target
		a.mu.Unlock()
		server, err := dialer.DialContext(ctx, "tcp4", target)
		if err != nil {
			_ = client.Close() // as the server itself refuses
			continue
		}
		a.mu.Lock()
		a.open[client], a.open[server] = struct{}{}, struct{}{}
		a.mu.Unlock()
		a.group.Go(func() { a.forward(server, client) })
		a.group.Go(func() { a.forward(client, server) })
	}
}

// forward copies until one side ends, and ends both.
func (a *address) forward(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	a.end(to, from)
}

func (a *address) end(conns ...net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
		delete(a.open, conn)
	}
}

func (a *address) close() {
	_ = a.socket.Close()
	a.mu.Lock()
	for conn := range a.open {
		_ = conn.Close()
	}
	a.mu.Unlock()
	a.group.Wait()
}
