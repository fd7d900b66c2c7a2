package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// StreamConfig says what a Stream follows. Only URL is needed.
type StreamConfig struct {
	// URL is a connection string, as a URL or in key=value form. It has to lead to
	// the primary directly: a pool does not pass a stream on. Its role needs the
	// REPLICATION attribute. What it leaves out comes from libpq's variables.
	// Without a connect_timeout it is 10 seconds.
	URL string

	// ControlSchema is the schema of bbmd's own tables. Defaults to
	// DefaultControlSchema.
	ControlSchema string

	// Logger tells about connections that come and go. Nil is silent.
	Logger *slog.Logger

	// PingInterval is the longest time without a word to the server, and the
	// silence after which it is asked whether it is there. Most servers ask
	// sooner, at half of their wal_sender_timeout. Defaults to
	// DefaultPingInterval.
	PingInterval time.Duration

	// PingTimeout is how long the answer may take. Defaults to DefaultPingTimeout.
	PingTimeout time.Duration

	// RetryMin and RetryMax are those of [ListenerConfig].
	RetryMin, RetryMax time.Duration

	// OnChange is told what that of [ListenerConfig] is told.
	OnChange func(State)

	// Accept is that of [ListenerConfig].
	Accept func(context.Context, *pgconn.PgConn) error
}

// DefaultControlSchema is the schema of bbmd's own tables where nothing else is said.
const DefaultControlSchema = "bbm"

// Stream is the [Source] that decodes the changes of bbmd's own tables from the
// write-ahead log, on two connections of its own: one that streams, and one that
// looks whether what was committed can be seen already. Make one with [NewStream].
// All methods may be called from any goroutine.
//
// Its events are those of [Listener], with two differences. What others raise
// with NOTIFY alone is not in the log: [RaiseSQL] reaches both sources, from
// PostgreSQL 14 on. And a change that a trigger would not tell apart may lead to
// an event more.
type Stream struct {
	life

	config      ListenerConfig // what it has in common with a Listener
	schema      string
	publication string

	mu   sync.Mutex
	conn *pgconn.Config // without the settings that the server refused so far
}

var _ Source = (*Stream)(nil)

// RaiseSQL raises an event for every source, by a channel's name ($1) and a
// payload ($2), and does so when its transaction commits. A Stream hears it from
// PostgreSQL 14 on.
const RaiseSQL = `SELECT pg_catalog.pg_notify($1::text, $2::text),
	CASE pg_catalog.current_setting('wal_level') WHEN 'logical' THEN pg_catalog.pg_logical_emit_message(true, $1::text, $2::text) END`

// NewStream returns a Stream that does nothing until it is run. The error is about
// the URL or a negative duration, and never holds a password.
func NewStream(config StreamConfig) (*Stream, error) {
	conn, err := parseURL(config.URL)
	if err != nil {
		return nil, fmt.Errorf("stream: %w", err)
	}
	if min(config.PingInterval, config.PingTimeout, config.RetryMin, config.RetryMax) < 0 {
		return nil, errors.New("stream: a duration is negative: leave it out for the default")
	}
	common := ListenerConfig{
		URL: config.URL, Name: streamName, Logger: config.Logger, PingInterval: config.PingInterval, PingTimeout: config.PingTimeout,
		RetryMin: config.RetryMin, RetryMax: config.RetryMax, OnChange: config.OnChange, Accept: config.Accept,
	}.withDefaults()
	prepareStream(conn, common)
	schema := config.ControlSchema
	if schema == "" {
		schema = DefaultControlSchema
	}
	return &Stream{
		life: newLife(common, conn), config: common, conn: conn,
		schema: schema, publication: PublicationName(schema),
	}, nil
}

// PublicationName returns the name of the publication that a Stream of a control
// schema reads.
func PublicationName(controlSchema string) string {
	const suffix, longest = "_events", 63
	return controlSchema[:min(len(controlSchema), longest-len(suffix))] + suffix
}

// maxChange is how many bytes one message may have: a row of the control tables,
// with the output of a run in it.
const maxChange = 64 << 20

// prepareStream makes a user's configuration that of a streaming connection. It
// has no time-outs on the server: to begin takes as long as the transactions take
// that are open then, and what is asked before is bounded from our side.
func prepareStream(conn *pgconn.Config, config ListenerConfig) {
	prepare(conn, config)
	conn.MaxProtocolMessageBodyLen = maxChange
	conn.RuntimeParams["replication"] = "database"
	for _, name := range []string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"} {
		conn.RuntimeParams[name] = "0"
	}
}

// streamName is what pg_stat_replication and pg_stat_activity show.
const streamName = "bbmd/stream"

// Run streams until ctx ends and returns its cause. It reconnects for as long as
// it takes, whatever the reason; State and the log say what is wrong. The only
// other error is ErrRunning.
func (s *Stream) Run(ctx context.Context, deliver func(Event)) error {
	return s.run(ctx, func(ctx context.Context) (time.Duration, error) { return s.stream(ctx, deliver) })
}

// Check connects once and looks whether everything is there, or may be made, that
// the stream needs. It changes nothing, and may be called while the Stream runs.
// The error says what to do and never holds a password.
func (s *Stream) Check(ctx context.Context) error {
	session, err := s.connect(ctx)
	if err == nil {
		defer session.close()
		_, err = s.examine(ctx, session)
	}
	if err != nil {
		return fmt.Errorf("check stream: %w", oneLine(err, s.secret))
	}
	return nil
}

// stream is the life of one connection: begin, resync, receive. It returns how
// long the stream was there.
func (s *Stream) stream(ctx context.Context, deliver func(Event)) (lived time.Duration, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	snapshots, err := s.connectWitness(ctx)
	if err != nil {
		return 0, err
	}
	defer snapshots.close()
	session, decoder, err := s.open(ctx)
	if err != nil {
		return 0, err
	}
	defer session.close()
	decoder.ignored = func() { s.tracker.ignored.Add(1) }
	since := time.Now()
	s.tracker.connected(session.pid)
	s.logger.InfoContext(ctx, "streaming events", "backend_pid", session.pid, "publication", s.publication)
	deliver(Event{})

	w := newWitness(snapshots, func(e Event) {
		s.tracker.notified(time.Now())
		deliver(e)
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cancel(w.run(ctx)) // which ends the receiver as well
	}()
	r := receiver{
		session:  session,
		decoder:  decoder,
		interval: s.config.PingInterval,
		timeout:  s.config.PingTimeout,
		tell:     w.add,
		behind:   s.tracker.behind.Store,
	}
	err = r.wait(ctx)
	cancel(err)
	<-ended
	return time.Since(since), err
}

// connect opens a session and remembers which settings the server refused.
func (s *Stream) connect(ctx context.Context) (*session, error) {
	s.mu.Lock()
	conn := s.conn.Copy()
	s.mu.Unlock()
	session, err := connect(ctx, conn)
	s.mu.Lock()
	s.conn = conn
	s.mu.Unlock()
	return session, explainConnect(err, conn.User)
}
