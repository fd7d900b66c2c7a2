package notify

import (
	"context"
	"net"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Dial is how connections are opened.
var Dial = dial

// Known is how foreign channels are told from ours.
var Known = known

// SetDial makes l open its connections by dial.
func (l *Listener) SetDial(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	l.conn.DialFunc = dial
}

// WaitOn lets l receive on a connection that is set up already.
func (l *Listener) WaitOn(ctx context.Context, conn net.Conn, deliver func(Event)) error {
	s := &session{conn: conn, frontend: pgproto3.NewFrontend(conn, conn)}
	s.frontend.SetMaxBodyLen(maxMessage)
	s.release = interruptOn(ctx, conn)
	defer s.close()
	w := waiter{
		session:      s,
		interval:     l.config.PingInterval,
		timeout:      l.config.PingTimeout,
		notification: func(n *pgproto3.NotificationResponse) { l.deliverKnown(n.Channel, n.Payload, deliver) },
	}
	return w.wait(ctx)
}
