package network

import (
	"context"
	"net"
	"syscall"
	"time"
)

// How long a dead peer can go unnoticed by the kernel: probes start after 15
// seconds of silence and give up 15 seconds later, and data that is not
// acknowledged for 30 seconds ends the connection. Without the second a ping to
// a host that vanished would be sent again for about a quarter of an hour.
const (
	keepaliveIdle     = 15 * time.Second
	keepaliveInterval = 5 * time.Second
	keepaliveCount    = 3
	userTimeout       = 30 * time.Second
)

// Dial opens a connection that notices a dead peer without sending a statement.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{
			Enable:   true,
			Idle:     keepaliveIdle,
			Interval: keepaliveInterval,
			Count:    keepaliveCount,
		},
		ControlContext: func(_ context.Context, network, _ string, conn syscall.RawConn) error {
			switch network {
			case "tcp", "tcp4", "tcp6":
				return setUserTimeout(conn, userTimeout)
			default:
				return nil
			}
		},
	}
	return dialer.DialContext(ctx, network, address)
}
