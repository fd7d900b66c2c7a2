package notify

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// ackEvery is how often, while there is traffic, the server is told how far we
// are, so that it need not keep the log behind us.
const ackEvery = 10 * time.Second

// receiver receives a stream on a session on which it has begun.
type receiver struct {
	*session

	decoder  *decoder
	interval time.Duration // silence after which the peer is asked
	timeout  time.Duration // silence after that, which means it is gone
	tell     func(told) error
	behind   func(bytes uint64) // is told of every change of what is not acknowledged; nil: nobody asks

	heard    pglogrepl.LSN // the server has read up to here
	position pglogrepl.LSN // everything up to here has been received
	told     pglogrepl.LSN // the position that the peer was last told; 0: none yet
	last     time.Time     // when the peer was last heard, or asked
	acked    time.Time     // when the peer was last told the position
	pinging  bool          // an answer is due
}

// wait receives until the connection or ctx ends, and never returns nil. Its
// deadlines are those of waiter.wait.
func (r *receiver) wait(ctx context.Context) error {
	r.last = time.Now()
	r.acked = r.last
	if err := r.arm(ctx); err != nil {
		return err
	}
	for {
		msg, err := r.frontend.Receive()
		switch {
		case err == nil:
			err = r.receive(ctx, msg)
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case errors.Is(err, os.ErrDeadlineExceeded):
			err = r.silence(ctx)
		default:
			err = fmt.Errorf("read from server: %w", err)
		}
		if err != nil {
			return err
		}
	}
}

// receive handles one message from the server.
func (r *receiver) receive(ctx context.Context, msg pgproto3.BackendMessage) error {
	switch msg := msg.(type) {
	case *pgproto3.CopyData:
		return r.copied(ctx, msg.Data)
	case *pgproto3.ErrorResponse:
		return fmt.Errorf("server reported: %w", pgconn.ErrorResponseToPgError(msg))
	case *pgproto3.NoticeResponse:
		// PostgreSQL 18 goes on without a publication that was dropped, and says
		// so: nothing would ever arrive again.
		if msg.Code == codeNotInPrerequisiteState {
			return fmt.Errorf("server reported: %s", msg.Message)
		}
	case *pgproto3.ParameterStatus:
	case *pgproto3.CopyDone, *pgproto3.CommandComplete:
		return errors.New("the server has ended the stream")
	default:
		return fmt.Errorf("read from server: unexpected message %T", msg)
	}
	r.last = time.Now()
	return nil
}

// copied handles one message of the stream.
func (r *receiver) copied(ctx context.Context, data []byte) error {
	if len(data) == 0 {
		return errors.New("read from server: an empty message")
	}
	r.last = time.Now()
	reply := false
	switch data[0] {
	case pglogrepl.PrimaryKeepaliveMessageByteID:
		keepalive, err := pglogrepl.ParsePrimaryKeepaliveMessage(data[1:])
		if err != nil {
			return fmt.Errorf("read keepalive: %w", err)
		}
		r.hear(keepalive.ServerWALEnd)
		if !r.decoder.open { // all that was sent has been received
			r.position = max(r.position, keepalive.ServerWALEnd)
		}
		reply = keepalive.ReplyRequested
		if r.pinging {
			r.pinging = false
			if err := r.arm(ctx); err != nil {
				return err
			}
		}
	case pglogrepl.XLogDataByteID:
		xlog, err := pglogrepl.ParseXLogData(data[1:])
		if err != nil {
			return fmt.Errorf("read change: %w", err)
		}
		r.hear(xlog.ServerWALEnd)
		if err := r.change(xlog.WALData); err != nil {
			return fmt.Errorf("read change: %w", err)
		}
	default:
		return fmt.Errorf("read from server: unexpected message %q in the stream", data[0])
	}
	if reply || r.last.Sub(r.acked) >= min(ackEvery, r.interval) {
		return r.ack(false)
	}
	return nil
}

// change decodes one message, and tells what there is to tell at the end of a
// transaction.
func (r *receiver) change(data []byte) error {
	end, err := r.decoder.decode(data)
	if err != nil {
		return err
	}
	if t, ok := r.decoder.take(); ok {
		if err := r.tell(t); err != nil {
			return err
		}
	}
	r.position = max(r.position, end)
	return nil
}

// hear takes note of how far the server is. The first time that is where the slot begins.
func (r *receiver) hear(end pglogrepl.LSN) {
	r.heard = max(r.heard, end)
	if r.told == 0 {
		r.told = r.heard
	}
	r.measure()
}

func (r *receiver) measure() {
	if r.behind != nil {
		r.behind(uint64(max(r.heard, r.told) - r.told))
	}
}

// silence is called when the read deadline has struck.
func (r *receiver) silence(ctx context.Context) error {
	if time.Until(r.due()) > 0 { // it was heard since the deadline was set
		return r.arm(ctx)
	}
	if r.pinging {
		return fmt.Errorf("ping: %w within %v: the peer is gone, or a box in between dropped the connection",
			errSilent, r.timeout)
	}
	r.last, r.pinging = time.Now(), true
	if err := r.arm(ctx); err != nil {
		return err
	}
	if err := r.ack(true); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	return nil
}

// due returns when the present silence has lasted too long.
func (r *receiver) due() time.Time {
	if r.pinging {
		return r.last.Add(r.timeout)
	}
	return r.last.Add(r.interval)
}

func (r *receiver) arm(ctx context.Context) error { return r.deadline(ctx, r.due()) }

// ack tells the server up to where everything was received, and asks for an
// answer if ping says so. Written, flushed and applied are the same: what
// an event says is in the tables, and after a lost connection they are looked at.
func (r *receiver) ack(ping bool) error {
	r.acked = time.Now()
	status := []byte{pglogrepl.StandbyStatusUpdateByteID}
	for range 3 {
		status = binary.BigEndian.AppendUint64(status, uint64(r.position))
	}
	status = binary.BigEndian.AppendUint64(status, uint64(time.Since(postgresEpoch()).Microseconds())) //nolint:gosec // positive since 2000
	if ping {
		status = append(status, 1)
	} else {
		status = append(status, 0)
	}
	r.told = r.position
	r.measure()
	return r.send(&pgproto3.CopyData{Data: status})
}

// postgresEpoch is where PostgreSQL's timestamps begin.
func postgresEpoch() time.Time { return time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC) }
