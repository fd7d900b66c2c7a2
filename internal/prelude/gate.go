package prelude

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// gate is the socket, below TLS. Some of pgx's ways to write lead past the frontend, and with it past
// the line: what comes that way waits until no prelude is on its way, and is not sent if it has failed.
type gate struct {
	net.Conn
	line *Line // nil before the connection's first message
}

// Install makes connections of a configuration have a line. To be called when its DialFunc is set.
func Install(cfg *pgconn.Config) {
	dial := cfg.DialFunc
	cfg.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &gate{Conn: conn}, nil
	}
	build := cfg.BuildFrontend
	cfg.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		g := beneath(w)
		if g == nil {
			return build(r, w)
		}
		g.line = &Line{r: r, w: w}
		return build(g.line, g.line)
	}
}

// Of returns the line of a connection; nil where it was made by a configuration without.
func Of(conn *pgconn.PgConn) *Line {
	if g := beneath(conn.Conn()); g != nil {
		return g.line
	}
	return nil
}

// beneath returns the gate that a connection goes through, with or without TLS.
func beneath(conn any) *gate {
	if secured, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secured.NetConn()
	}
	g, _ := conn.(*gate) // nil otherwise
	return g
}

// Write passes on what the line writes, and holds back what does not come from there.
func (g *gate) Write(data []byte) (int, error) {
	if g.line != nil {
		if err := g.line.admit(); err != nil {
			return 0, err
		}
	}
	return g.Conn.Write(data)
}

// SyscallConn is the socket's, for those who look at it.
func (g *gate) SyscallConn() (syscall.RawConn, error) {
	socket, ok := g.Conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return socket.SyscallConn()
}

// through counts those who may pass the gate at the moment: the line, while it writes; while it reads, as TLS may have to answer; and
// everybody once the connection is being closed.
type through struct{ atomic.Int32 }

func (t *through) do(io func() (int, error)) (int, error) {
	t.Add(1)
	defer t.Add(-1)
	return io()
}
