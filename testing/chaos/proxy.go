package chaos

import (
	"context"
	"errors"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// proxy stands between a daemon and the server, and can do to their connections
// what networks do.
type proxy struct {
	target string
	socket net.Listener
	group  sync.WaitGroup

	mu     sync.Mutex
	lines  map[*line]struct{}
	moving chan struct{} // closed while bytes are forwarded
	pace   pace
}

// pace is how fast bytes are forwarded. The zero pace is at once.
type pace struct {
	delay time.Duration // before each piece
	piece int           // bytes; 0: all that there are
}

// line is one connection through the proxy.
type line struct {
	client, server net.Conn
	abandoned      bool // the server is to believe that the client is still there
}

// newProxy returns a proxy of the server at serverURL, and the URL to reach the
// server through it. It ends with the test.
func newProxy(tb testing.TB, serverURL string) (*proxy, string) {
	tb.Helper()
	address, err := url.Parse(serverURL)
	if err != nil {
		tb.Fatal("the server's address is not a URL") // the error would show the password
	}
	var config net.ListenConfig
	socket, err := config.Listen(tb.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &proxy{target: address.Host, socket: socket, lines: map[*line]struct{}{}, moving: make(chan struct{})}
	close(p.moving)
	address.Host = socket.Addr().String()
	p.group.Go(func() { p.accept(context.WithoutCancel(tb.Context())) })
	tb.Cleanup(p.close)
	return p, address.String()
}

func (p *proxy) accept(ctx context.Context) {
	var dialer net.Dialer
	for {
		client, err := p.socket.Accept()
		if err != nil {
			return
		}
		server, err := dialer.DialContext(ctx, "tcp4", p.target)
		if err != nil {
			_ = client.Close() // as the server itself refuses
			continue
		}
		l := &line{client: client, server: server}
		p.mu.Lock()
		p.lines[l] = struct{}{}
		p.mu.Unlock()
		p.group.Go(func() { p.forward(l, server, client) })
		p.group.Go(func() { p.forward(l, client, server) })
	}
}

// forward copies until one side ends, and ends the other. What the server sends
// on an abandoned line is dropped.
func (p *proxy) forward(l *line, to, from net.Conn) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		p.wait()
		if n > 0 && err == nil {
			err = p.pass(to, buffer[:n])
			if err != nil && from == l.server && p.isAbandoned(l) {
				err = nil
			}
		}
		if err != nil {
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if from == l.server || !l.abandoned {
		p.end(l)
	}
}

// pass forwards bytes at the present pace, which may change meanwhile.
func (p *proxy) pass(to net.Conn, bytes []byte) error {
	for len(bytes) > 0 {
		p.mu.Lock()
		now := p.pace
		p.mu.Unlock()
		piece := len(bytes)
		if now.delay > 0 {
			<-time.After(now.delay)
			if now.piece > 0 {
				piece = min(piece, now.piece)
			}
		}
		if _, err := to.Write(bytes[:piece]); err != nil {
			return err
		}
		bytes = bytes[piece:]
	}
	return nil
}

// slow forwards at another pace from now on.
func (p *proxy) slow(to pace) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pace = to
}

// lose drops every packet that comes on present connections, in both directions, so that neither
// side hears of the other any more, not even that it is gone: what a cable does that somebody
// pulls out. The kernel, and not this proxy, then finds out. New connections work.
func (p *proxy) lose() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.lines {
		l.abandoned = true
		if err := errors.Join(deafen(l.client), deafen(l.server)); err != nil {
			return err
		}
	}
	return nil
}

func (p *proxy) isAbandoned(l *line) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return l.abandoned
}

// end closes both sides. The caller holds the mutex.
func (p *proxy) end(l *line) {
	_, _ = l.client.Close(), l.server.Close()
	delete(p.lines, l)
}

// wait returns when bytes are forwarded.
func (p *proxy) wait() {
	p.mu.Lock()
	moving := p.moving
	p.mu.Unlock()
	<-moving
}

// cut ends all present connections on both sides.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.lines {
		p.end(l)
	}
}

// stall keeps bytes back until resume, which forwards them: nothing is lost.
func (p *proxy) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moving = make(chan struct{})
}

func (p *proxy) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.moving:
	default:
		close(p.moving)
	}
}

// abandon ends all present connections for the daemon, while the server does not
// hear of it before release.
func (p *proxy) abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.lines {
		l.abandoned = true
		_ = l.client.Close()
	}
}

// release ends what was abandoned.
func (p *proxy) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.lines {
		if l.abandoned {
			p.end(l)
		}
	}
}

func (p *proxy) close() {
	_ = p.socket.Close()
	p.slow(pace{})
	p.resume()
	p.cut()
	p.group.Wait()
}
