package chaos_test

import (
	"bufio"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/chaos"
)

const soon = 10 * time.Second

// echo is a server that answers every line with the same line, and says when a client has gone.
func echo(t *testing.T) (address string, gone <-chan struct{}) {
	t.Helper()
	var config net.ListenConfig
	socket, err := config.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	left := make(chan struct{}, 10)
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := socket.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer conn.Close() //nolint:errcheck // nothing depends on it
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					_, _ = conn.Write(append(lines.Bytes(), '\n'))
				}
				left <- struct{}{}
			})
		}
	})
	t.Cleanup(func() {
		require.NoError(t, socket.Close())
		group.Wait()
	})
	return socket.Addr().String(), left
}

// client is a connection to the echo through a proxy.
type client struct {
	net.Conn

	t     *testing.T
	lines *bufio.Reader
}

// greeted is a proxy of an echo, and a client that has been heard through it. gone tells when the server has lost it.
func greeted(t *testing.T, word string) (p chaos.Proxy, through string, c *client, gone <-chan struct{}) {
	t.Helper()
	server, gone := echo(t)
	p, through = chaos.NewProxy(t, "postgres://"+server)
	c = dial(t, through)
	require.NoError(t, c.say(word))
	c.hears(word)
	return p, through, c, gone
}

func dial(t *testing.T, throughProxy string) *client {
	t.Helper()
	address, err := url.Parse(throughProxy)
	require.NoError(t, err)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp4", address.Host)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(soon)))
	return &client{Conn: conn, t: t, lines: bufio.NewReader(conn)}
}

func (c *client) say(text string) error {
	_, err := c.Write([]byte(text + "\n"))
	return err
}

func (c *client) hears(text string) {
	c.t.Helper()
	line, err := c.lines.ReadString('\n')
	require.NoError(c.t, err)
	require.Equal(c.t, text+"\n", line)
}

func (c *client) isCut() {
	c.t.Helper()
	_, err := c.lines.ReadString('\n')
	require.Error(c.t, err)
	var timeout net.Error
	if e, ok := err.(net.Error); ok { //nolint:errorlint // a plain look
		timeout = e
	}
	require.False(c.t, timeout != nil && timeout.Timeout(), "it is open still")
}

func TestProxyCutsBothSides(t *testing.T) {
	t.Parallel()
	p, through, c, gone := greeted(t, "hello")
	p.Cut()
	c.isCut()
	<-gone

	again := dial(t, through)
	require.NoError(t, again.say("again"))
	again.hears("again")
}

func TestProxyStallLosesNothing(t *testing.T) {
	t.Parallel()
	p, _, c, _ := greeted(t, "before")
	p.Stall()
	require.NoError(t, c.say("during"))
	require.NoError(t, c.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err := c.lines.Peek(1)
	require.Error(t, err)
	p.Resume()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(soon)))
	c.hears("during")
}

func TestProxyLeavesTheServerBehind(t *testing.T) {
	t.Parallel()
	p, through, c, gone := greeted(t, "hello")
	p.Abandon()
	c.isCut()
	again := dial(t, through)
	require.NoError(t, again.say("again"))
	again.hears("again")
	require.Empty(t, gone)
	p.Release()
	<-gone
	require.NoError(t, again.say("still"))
	again.hears("still")
}

func TestProxyOfNobody(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	socket, err := config.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	address := socket.Addr().String()
	require.NoError(t, socket.Close())
	_, through := chaos.NewProxy(t, "postgres://"+address)
	dial(t, through).isCut()
}
