package notify

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

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

// Decoder is how messages of pgoutput become events.
type Decoder struct{ decoder *decoder }

// NewDecoder returns one for the standard control schema.
func NewDecoder() Decoder { return Decoder{newDecoder(DefaultControlSchema)} }

// Decode decodes one message and returns what there is to tell after it.
func (d Decoder) Decode(data []byte) (events []Event, xid uint32, err error) {
	if _, err := d.decoder.decode(data); err != nil {
		return nil, 0, err
	}
	t, _ := d.decoder.take()
	return t.events, t.xid, nil
}

// DecodeRow returns kind and text of each column.
func DecodeRow(data []byte) (columns []string) {
	c := &cursor{rest: data}
	for _, v := range c.tuple(nil) {
		columns = append(columns, string(rune(v.kind))+string(v.data))
	}
	return columns
}

// SnapshotHas reports whether a snapshot, as text, has a transaction.
func SnapshotHas(text string, xid uint32) (bool, error) {
	s, err := parseSnapshot(text)
	return s.has(xid), err
}

// ReceiveOn receives a stream on a connection on which it has begun.
func ReceiveOn(ctx context.Context, conn net.Conn, interval time.Duration, deliver func(Event), behind func(bytes uint64)) error {
	s := &session{conn: conn, frontend: pgproto3.NewFrontend(conn, conn)}
	s.frontend.SetMaxBodyLen(maxChange)
	s.release = interruptOn(ctx, conn)
	defer s.close()
	r := receiver{session: s, decoder: newDecoder(DefaultControlSchema), interval: interval, timeout: interval, behind: behind, tell: func(t told) error {
		for _, e := range t.events {
			deliver(e)
		}
		return nil
	}}
	return r.wait(ctx)
}
