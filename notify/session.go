package notify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

const (
	// statementTimeout bounds each statement of the set-up, seen from our side.
	statementTimeout = 10 * time.Second
	// closeTimeout bounds saying goodbye.
	closeTimeout = time.Second
)

// session is one connection, taken over from pgconn once it is authenticated.
// The connection's own loop reads it from then on: a notification goes from the
// socket to the receiver without another goroutine, a timer or a context in
// between, and an idle wait is one read with a deadline.
type session struct {
	conn     net.Conn
	frontend *pgproto3.Frontend
	// pid is the server process as the startup told it. A pooler makes it up.
	pid uint32
	// release takes the session off its context, and waits for that.
	release func()
}

// newSession takes over conn. From now on the end of ctx ends any wait on it.
func newSession(ctx context.Context, conn *pgconn.PgConn) (*session, error) {
	hijacked, err := conn.Hijack()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("take over connection: %w", err), conn.Close(ctx))
	}
	s := &session{conn: hijacked.Conn, frontend: hijacked.Frontend, pid: hijacked.PID}
	s.release = interruptOn(ctx, hijacked.Conn)
	return s, nil
}

// interruptOn makes the end of ctx end whatever waits on conn.
func interruptOn(ctx context.Context, conn net.Conn) (release func()) {
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		// It can only fail on a closed connection, where nobody waits.
		_ = conn.SetDeadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-interrupted
		}
	}
}

// deadline bounds the reads and writes that follow. The context is looked at
// afterwards: if it ended in between, this call has undone its interruption.
func (s *session) deadline(ctx context.Context, at time.Time) error {
	if err := s.conn.SetDeadline(at); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	return context.Cause(ctx)
}

// query runs statements by the simple protocol and returns the rows of all of
// them, each as its columns' text. Notifications that arrive meanwhile are
// dropped, so it is for the time before the resync.
func (s *session) query(ctx context.Context, sql string) ([][]string, error) {
	if err := s.deadline(ctx, time.Now().Add(statementTimeout)); err != nil {
		return nil, err
	}
	if err := s.send(&pgproto3.Query{String: sql}); err != nil {
		return nil, err
	}
	var rows [][]string
	var failed error
	for {
		msg, err := s.frontend.Receive()
		if err != nil {
			return nil, receiveError(err)
		}
		switch msg := msg.(type) {
		case *pgproto3.DataRow:
			rows = append(rows, columns(msg))
		case *pgproto3.ErrorResponse:
			failed = pgconn.ErrorResponseToPgError(msg)
			if fatal(msg) {
				return nil, failed
			}
		case *pgproto3.ReadyForQuery:
			return rows, failed
		default: // tags, notices, parameters, notifications
		}
	}
}

func (s *session) send(msg pgproto3.FrontendMessage) error {
	s.frontend.Send(msg)
	if err := s.frontend.Flush(); err != nil {
		return fmt.Errorf("write to server: %w", err)
	}
	return nil
}

// close says goodbye, so that the server does not log a broken connection, and
// closes the socket.
func (s *session) close() {
	s.release()
	// Nothing is left to do about a failure of either: the server finds out.
	if s.conn.SetDeadline(time.Now().Add(closeTimeout)) == nil {
		_ = s.send(&pgproto3.Terminate{})
	}
	_ = s.conn.Close()
}

func columns(row *pgproto3.DataRow) []string {
	texts := make([]string, len(row.Values))
	for i, value := range row.Values {
		texts[i] = string(value)
	}
	return texts
}

// fatal reports whether the server ends the session with this error.
func fatal(msg *pgproto3.ErrorResponse) bool {
	severity := msg.SeverityUnlocalized
	if severity == "" {
		severity = msg.Severity
	}
	return strings.EqualFold(severity, "FATAL") || strings.EqualFold(severity, "PANIC")
}

// errSilent is the cause of a connection given up because the peer said nothing.
var errSilent = errors.New("no answer")

func receiveError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("read from server: %w within %v", errSilent, statementTimeout)
	}
	return fmt.Errorf("read from server: %w", err)
}
