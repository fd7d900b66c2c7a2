package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/bbmd-dev/bbmd/internal/network"
)

// Defaults of [ListenerConfig].
const (
	DefaultPingInterval = time.Minute
	DefaultPingTimeout  = 10 * time.Second
	DefaultRetryMin     = 100 * time.Millisecond
	DefaultRetryMax     = 15 * time.Second
)

const (
	connectTimeout = 10 * time.Second // per host, where the URL says nothing
	maxMessage     = 1 << 20          // bytes; a payload has at most 8000
)

// ListenerConfig says what a Listener listens to. Only URL is needed.
type ListenerConfig struct {
	// URL is a connection string, as a URL or in key=value form. It has to lead to
	// the primary, directly or through a pool in session mode. What it leaves out
	// comes from libpq's variables. Without a connect_timeout it is 10 seconds.
	URL string

	// Name is what pg_stat_activity shows for the connection (application_name).
	// Defaults to bbmd/listener, by which others know that a daemon is here: a
	// program that only watches gives another one.
	Name string

	// Logger tells about connections that come and go. Nil is silent.
	Logger *slog.Logger

	// PingInterval is the silence after which the peer is asked whether it is
	// there: the only traffic of an idle connection. Defaults to
	// DefaultPingInterval.
	PingInterval time.Duration

	// PingTimeout is how long the answer may take. Defaults to DefaultPingTimeout.
	PingTimeout time.Duration

	// RetryMin and RetryMax bound the waits between attempts to connect, before a
	// jitter of half of them in both directions. The first retry after a
	// connection that lasted comes at once. They default to DefaultRetryMin and
	// DefaultRetryMax; a RetryMax below RetryMin counts as RetryMin.
	RetryMin, RetryMax time.Duration

	// OnChange is told when Run starts, a connection starts to listen, an attempt
	// or a connection fails, and when Run ends; not about notifications. It is
	// called from Run's goroutine and must not block. Nil means that nobody asks.
	OnChange func(State)

	// Accept looks at each server that is connected to, and may ask it. An error lets the
	// connection go on to the next host of the URL, as one does that is read-only. Nil
	// accepts all others.
	Accept func(context.Context, *pgconn.PgConn) error
}

// Listener is the [Source] that uses LISTEN, on one connection of its own. Make
// one with [NewListener]. All methods may be called from any goroutine.
type Listener struct {
	life

	config ListenerConfig

	mu   sync.Mutex
	conn *pgconn.Config // without the settings that the server refused so far
}

var _ Source = (*Listener)(nil)

// NewListener returns a Listener that does nothing until it is run. The error is
// about the URL or a negative duration, and never holds a password.
func NewListener(config ListenerConfig) (*Listener, error) {
	conn, err := parseURL(config.URL)
	if err != nil {
		return nil, fmt.Errorf("listener: %w", err)
	}
	if min(config.PingInterval, config.PingTimeout, config.RetryMin, config.RetryMax) < 0 {
		return nil, errors.New("listener: a duration is negative: leave it out for the default")
	}
	config = config.withDefaults()
	prepare(conn, config)
	return &Listener{life: newLife(config, conn), config: config, conn: conn}, nil
}

func newLife(config ListenerConfig, conn *pgconn.Config) life {
	return life{
		logger:   loggerOf(config),
		secret:   secretOf(conn),
		retryMin: config.RetryMin,
		retryMax: config.RetryMax,
		tracker:  tracker{onChange: config.OnChange},
	}
}

func loggerOf(config ListenerConfig) *slog.Logger {
	if config.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return config.Logger
}

func (c ListenerConfig) withDefaults() ListenerConfig {
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&c.PingInterval, DefaultPingInterval},
		{&c.PingTimeout, DefaultPingTimeout},
		{&c.RetryMin, DefaultRetryMin},
		{&c.RetryMax, DefaultRetryMax},
	} {
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	c.RetryMax = max(c.RetryMin, c.RetryMax)
	if c.Name == "" {
		c.Name = listenerName
	}
	return c
}

// prepare makes a user's configuration that of a listening connection.
func prepare(conn *pgconn.Config, config ListenerConfig) {
	setParams(conn, config.Name)
	conn.DialFunc = network.Dial
	conn.MaxProtocolMessageBodyLen = maxMessage
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = connectTimeout
	}
	if conn.ValidateConnect == nil { // the URL has no target_session_attrs
		otherHosts := network.HasOtherHosts(conn)
		conn.ValidateConnect = func(ctx context.Context, c *pgconn.PgConn) error {
			return network.RefuseStandby(ctx, c, otherHosts, ErrStandby)
		}
	}
	if config.Accept == nil {
		return
	}
	demanded := conn.ValidateConnect
	conn.ValidateConnect = func(ctx context.Context, c *pgconn.PgConn) error {
		if err := demanded(ctx, c); err != nil {
			return err
		}
		return config.Accept(ctx, c)
	}
}

// Run listens until ctx ends and returns its cause. It reconnects for as long as
// it takes, whatever the reason; State and the log say what is wrong. The only
// other error is ErrRunning.
func (l *Listener) Run(ctx context.Context, deliver func(Event)) error {
	return l.run(ctx, func(ctx context.Context) (time.Duration, error) { return l.listen(ctx, deliver) })
}

// Check connects once, subscribes, verifies that notifications would arrive, and
// disconnects. It is for start-up checks, and may be called while the Listener
// runs. The error says what to do and never holds a password.
func (l *Listener) Check(ctx context.Context) error {
	s, err := l.open(ctx)
	if err != nil {
		return fmt.Errorf("check listener: %w", oneLine(err, l.secret))
	}
	s.close()
	return nil
}

// listen is the life of one connection: subscribe, resync, wait. It returns how
// long the subscription was in force.
func (l *Listener) listen(ctx context.Context, deliver func(Event)) (lived time.Duration, err error) {
	s, err := l.open(ctx)
	if err != nil {
		return 0, err
	}
	defer s.close()
	since := time.Now()
	l.tracker.connected(s.pid)
	l.logger.InfoContext(ctx, "listening for events", "backend_pid", s.pid)
	deliver(Event{})
	w := waiter{
		session:  s,
		interval: l.config.PingInterval,
		timeout:  l.config.PingTimeout,
		notification: func(n *pgproto3.NotificationResponse) {
			l.deliverKnown(n.Channel, n.Payload, deliver)
		},
	}
	err = w.wait(ctx)
	return time.Since(since), err
}

// open opens a session and remembers which settings the server refused.
func (l *Listener) open(ctx context.Context) (*session, error) {
	l.mu.Lock()
	conn := l.conn.Copy()
	l.mu.Unlock()
	s, err := open(ctx, conn)
	l.mu.Lock()
	l.conn = conn
	l.mu.Unlock()
	return s, err
}

// secretOf returns the password that must not show in an error. One that is a
// part of the names beside it cannot be hidden, and hiding it would only make
// `postgres:postgres@…` illegible.
func secretOf(conn *pgconn.Config) string {
	if strings.Contains(conn.User+" "+conn.Database+" "+conn.Host, conn.Password) {
		return ""
	}
	return conn.Password
}
