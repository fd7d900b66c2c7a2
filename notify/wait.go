package notify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// ping is the cheapest statement that needs an answer: it takes no snapshot and
// does not show in pg_stat_statements.
const ping = "-- ping"

// waiter receives notifications on a session whose channels are listened to.
type waiter struct {
	*session

	interval time.Duration // silence after which the peer is asked
	timeout  time.Duration // silence after that, which means it is gone

	notification func(*pgproto3.NotificationResponse)

	last    time.Time // when the peer was last heard, or asked
	pinging bool      // a ping is on its way
}

// wait receives until the connection or ctx ends, and never returns nil.
//
// The read deadline is set once per silence, not once per message: a message only
// moves w.last, and a deadline that turns out to have been too early is moved
// when it strikes.
func (w *waiter) wait(ctx context.Context) error {
	w.last = time.Now()
	if err := w.arm(ctx); err != nil {
		return err
	}
	for {
		msg, err := w.frontend.Receive()
		switch {
		case err == nil:
			err = w.receive(ctx, msg)
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case errors.Is(err, os.ErrDeadlineExceeded):
			err = w.silence(ctx)
		default:
			err = fmt.Errorf("read from server: %w", err)
		}
		if err != nil {
			return err
		}
	}
}

// receive handles one message from the server.
func (w *waiter) receive(ctx context.Context, msg pgproto3.BackendMessage) error {
	switch msg := msg.(type) {
	case *pgproto3.NotificationResponse:
		w.notification(msg)
		w.last = time.Now()
	case *pgproto3.ReadyForQuery:
		w.last, w.pinging = time.Now(), false
		return w.arm(ctx)
	case *pgproto3.ErrorResponse:
		return fmt.Errorf("server reported: %w", pgconn.ErrorResponseToPgError(msg))
	case *pgproto3.EmptyQueryResponse, *pgproto3.CommandComplete,
		*pgproto3.NoticeResponse, *pgproto3.ParameterStatus:
		w.last = time.Now()
	default:
		return fmt.Errorf("read from server: unexpected message %T", msg)
	}
	return nil
}

// silence is called when the read deadline has struck.
func (w *waiter) silence(ctx context.Context) error {
	if time.Until(w.due()) > 0 { // it was heard since the deadline was set
		return w.arm(ctx)
	}
	if w.pinging {
		return fmt.Errorf("ping: %w within %v: the peer is gone, or a box in between dropped the connection",
			errSilent, w.timeout)
	}
	w.last, w.pinging = time.Now(), true
	if err := w.arm(ctx); err != nil {
		return err
	}
	if err := w.send(&pgproto3.Query{String: ping}); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	return nil
}

// due returns when the present silence has lasted too long.
func (w *waiter) due() time.Time {
	if w.pinging {
		return w.last.Add(w.timeout)
	}
	return w.last.Add(w.interval)
}

func (w *waiter) arm(ctx context.Context) error { return w.deadline(ctx, w.due()) }
