package sourcetest

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// proxy stands between a source and its server. It counts what the source sends,
// and can fall silent as a network does that loses a route: nothing is forwarded,
// nothing is closed, and the kernel still acknowledges what arrives.
type proxy struct {
	url    string // of the server, through the proxy
	target string
	socket net.Listener
	sent   atomic.Int64 // bytes from the source

	mu    sync.Mutex
	lines []*line
	mute  bool          // new connections fall silent as well
	used  chan struct{} // closed once there is a connection
	group sync.WaitGroup
}

// line is one connection through the proxy.
type line struct {
	client, server net.Conn
	silent         atomic.Bool
}

func newProxy(t *testing.T, serverURL string) *proxy {
	t.Helper()
	parsed, err := url.Parse(serverURL)
	require.NoError(t, err)
	var config net.ListenConfig
	socket, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{target: parsed.Host, socket: socket, used: make(chan struct{})}
	parsed.Host = socket.Addr().String()
	p.url = parsed.String()
	p.group.Go(func() { p.accept(context.WithoutCancel(t.Context())) })
	t.Cleanup(p.close)
	return p
}

func (p *proxy) accept(ctx context.Context) {
	var dialer net.Dialer
	for {
		client, err := p.socket.Accept()
		if err != nil {
			return
		}
		server, err := dialer.DialContext(ctx, "tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		l := &line{client: client, server: server}
		p.mu.Lock()
		l.silent.Store(p.mute)
		if p.lines = append(p.lines, l); len(p.lines) == 1 {
			close(p.used)
		}
		p.mu.Unlock()
		p.group.Go(func() { l.forward(server, client, &p.sent) })
		p.group.Go(func() { l.forward(client, server, new(atomic.Int64)) })
	}
}

// forward copies until either side closes. In silence it reads on, and drops.
func (l *line) forward(to, from net.Conn, count *atomic.Int64) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		count.Add(int64(n))
		if !l.silent.Load() && n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	if !l.silent.Load() {
		_ = to.Close()
	}
	_, _ = io.Copy(io.Discard, from)
}

// silence makes all present connections silent, for good, and new ones too if
// mute says so.
func (p *proxy) silence(mute bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = mute
	for _, l := range p.lines {
		l.silent.Store(true)
	}
}

// untilUsed waits for the first connection.
func (p *proxy) untilUsed(t *testing.T) {
	t.Helper()
	select {
	case <-p.used:
	case <-time.After(patience):
		require.FailNow(t, "the source does not connect")
	}
}

func (p *proxy) close() {
	_ = p.socket.Close()
	p.mu.Lock()
	for _, l := range p.lines {
		_ = l.client.Close()
		_ = l.server.Close()
	}
	p.mu.Unlock()
	p.group.Wait()
}
