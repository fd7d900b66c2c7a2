package notify_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/notify"
)

const (
	fakePID = 4711
	// secretURL leads nowhere: the fake server is dialled instead.
	secretURL = "postgres://user:hunter2secret@127.0.0.1:1/db?sslmode=disable"
)

var errRefused = errors.New("connection refused")

// fakeServer speaks enough of the protocol for a Listener, over net.Pipe, so that
// a test in a synctest bubble sees to the microsecond what is sent when.
type fakeServer struct {
	start time.Time

	// Set before the first connection.
	params   map[string]string // reported at startup
	unknown  []string          // settings that are refused at startup
	pooler   bool              // refuses as pgbouncer does
	verified string            // process number in the verifying statement, if not fakePID
	missing  string            // channel that the verifying statement leaves out
	onListen *pgproto3.ErrorResponse
	stuck    bool // LISTEN is never answered

	mu      sync.Mutex
	refuse  int             // refuse that many dials
	mute    bool            // read, but answer nothing once set up
	dials   []time.Duration // since start
	pings   []time.Duration
	queries []string
	startup map[string]string
	current *fakeConn
	wait    sync.WaitGroup
}

type fakeConn struct {
	net.Conn
	mu sync.Mutex // serialises writes
}

func newFakeServer(t *testing.T) *fakeServer {
	t.Helper()
	s := &fakeServer{start: time.Now()}
	t.Cleanup(s.wait.Wait)
	return s
}

// listener returns a Listener that dials this server.
func (s *fakeServer) listener(t *testing.T, config notify.ListenerConfig) *notify.Listener {
	t.Helper()
	config.URL = secretURL
	l, err := notify.NewListener(config)
	require.NoError(t, err)
	l.SetDial(s.dial)
	return l
}

func (s *fakeServer) dial(context.Context, string, string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dials = append(s.dials, time.Since(s.start))
	if s.refuse > 0 {
		s.refuse--
		return nil, errRefused
	}
	client, server := net.Pipe()
	conn := &fakeConn{Conn: server}
	s.wait.Go(func() {
		s.serve(conn)
		_ = server.Close()
	})
	return client, nil
}

func (s *fakeServer) serve(conn *fakeConn) {
	backend := pgproto3.NewBackend(conn, conn)
	msg, err := backend.ReceiveStartupMessage()
	startup, ok := msg.(*pgproto3.StartupMessage)
	if err != nil || !ok {
		return
	}
	s.mu.Lock()
	s.startup = startup.Parameters
	s.mu.Unlock()
	for _, name := range s.unknown {
		if _, ok := startup.Parameters[name]; ok {
			conn.send(s.refusal(name))
			return
		}
	}
	conn.send(s.welcome()...)
	s.mu.Lock()
	s.current = conn
	s.mu.Unlock()
	for {
		msg, err := backend.Receive()
		if err != nil {
			return
		}
		query, ok := msg.(*pgproto3.Query)
		if !ok {
			return
		}
		if answer := s.answer(query.String); answer != nil {
			conn.send(answer...)
		}
	}
}

func (s *fakeServer) refusal(name string) *pgproto3.ErrorResponse {
	if s.pooler {
		return &pgproto3.ErrorResponse{Severity: "FATAL", Code: "08P01", Message: "unsupported startup parameter: " + name}
	}
	return &pgproto3.ErrorResponse{
		Severity: "FATAL", Code: "42704", Message: `unrecognized configuration parameter "` + name + `"`,
	}
}

func (s *fakeServer) welcome() []pgproto3.BackendMessage {
	answer := []pgproto3.BackendMessage{&pgproto3.AuthenticationOk{}}
	for name, value := range s.params {
		answer = append(answer, &pgproto3.ParameterStatus{Name: name, Value: value})
	}
	return append(answer,
		&pgproto3.BackendKeyData{ProcessID: fakePID, SecretKey: []byte{1, 2, 3, 4}},
		&pgproto3.ReadyForQuery{TxStatus: 'I'})
}

func (s *fakeServer) answer(sql string) []pgproto3.BackendMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	ready := &pgproto3.ReadyForQuery{TxStatus: 'I'}
	switch {
	case sql == "-- ping":
		s.pings = append(s.pings, time.Since(s.start))
		if s.mute {
			return nil
		}
		return []pgproto3.BackendMessage{&pgproto3.EmptyQueryResponse{}, ready}
	case strings.HasPrefix(sql, "LISTEN "):
		s.queries = append(s.queries, sql)
		if s.stuck {
			return nil
		}
		if s.onListen != nil {
			return []pgproto3.BackendMessage{s.onListen, ready}
		}
		return []pgproto3.BackendMessage{row("4711"), ready}
	case strings.Contains(sql, "pg_listening_channels"):
		s.queries = append(s.queries, sql)
		return append(s.verification(), ready)
	default:
		s.queries = append(s.queries, sql)
		return []pgproto3.BackendMessage{ready}
	}
}

func (s *fakeServer) verification() []pgproto3.BackendMessage {
	pid := "4711"
	if s.verified != "" {
		pid = s.verified
	}
	var answer []pgproto3.BackendMessage
	for _, channel := range notify.Channels() {
		if channel != s.missing {
			answer = append(answer, row(pid, channel))
		}
	}
	return answer
}

func row(columns ...string) *pgproto3.DataRow {
	msg := &pgproto3.DataRow{}
	for _, column := range columns {
		msg.Values = append(msg.Values, []byte(column))
	}
	return msg
}

// send writes to the present connection.
func (s *fakeServer) send(messages ...pgproto3.BackendMessage) {
	s.mu.Lock()
	conn := s.current
	s.mu.Unlock()
	conn.send(messages...)
}

// hangUp breaks the present connection.
func (s *fakeServer) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.current.Close()
}

func (s *fakeServer) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// seen returns when the server was dialled and pinged, since the start.
func (s *fakeServer) seen() (dials, pings []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(dials, s.dials...), append(pings, s.pings...)
}

func (c *fakeConn) send(messages ...pgproto3.BackendMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, msg := range messages {
		data, err := msg.Encode(nil)
		if err != nil {
			panic(err)
		}
		if _, err := c.Write(data); err != nil {
			return // the client is gone
		}
	}
}

// recorder keeps what was delivered.
type recorder struct {
	mu     sync.Mutex
	events []notify.Event
}

func (r *recorder) deliver(e notify.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *recorder) all() []notify.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]notify.Event(nil), r.events...)
}

func notification(channel, payload string) *pgproto3.NotificationResponse {
	return &pgproto3.NotificationResponse{PID: 1, Channel: channel, Payload: payload}
}

var errEnough = errors.New("test is over")

// start runs the listener until the returned stop, which checks its result.
func start(t *testing.T, l notify.Source, deliver func(notify.Event)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx, deliver) }()
	return func() {
		t.Helper()
		cancel(errEnough)
		require.ErrorIs(t, <-done, errEnough)
	}
}

// advance lets d pass on the clock of a synctest bubble.
func advance(d time.Duration) { <-time.After(d) }
