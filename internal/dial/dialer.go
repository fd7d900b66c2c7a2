package dial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/network"
	"github.com/bbmd-dev/bbmd/internal/prelude"
)

// connectTimeout is per host, where the connection string says nothing.
const connectTimeout = 10 * time.Second

// ErrStandby is wrapped by the error of a connection to a hot standby: it is promoted before
// long, or whoever configures it has to name the primary.
var ErrStandby = errors.New("the server is a hot standby, on which nothing can be written: " +
	"point url at the primary, or name all hosts in it with target_session_attrs=primary; after a failover this ends when it is promoted")

// Dialer opens sessions on one database. It remembers which settings the
// server refused, and the timeline that it was on. All methods may be called from any goroutine.
type Dialer struct {
	database config.Database
	refusals refusals
	lineage  lineage
}

// New returns a Dialer, which reads the connection string only when it connects.
func New(database config.Database) *Dialer {
	return &Dialer{database: database}
}

// Connect opens a session whose application_name is application. The caller
// closes it.
func (d *Dialer) Connect(ctx context.Context, application string) (*pgx.Conn, error) {
	return d.ConnectTo(ctx, application, "")
}

// ConnectTo is [Dialer.Connect] to another database of the same server, or to
// the dialer's own where database is empty.
func (d *Dialer) ConnectTo(ctx context.Context, application, database string) (*pgx.Conn, error) {
	for {
		cfg, err := d.config(application)
		if err != nil {
			return nil, err
		}
		if database != "" {
			cfg.Database = database
		}
		prelude.Install(&cfg.Config)
		conn, err := pgx.ConnectConfig(ctx, cfg)
		switch {
		case err == nil:
			d.refusals.settle()
			return conn, nil
		case !d.refusals.learn(err):
			return nil, oneLine(err)
		}
	}
}

// Pool returns a pool of at most size sessions whose application_name is
// application. It connects when a session is asked for. The caller closes it.
func (d *Dialer) Pool(ctx context.Context, application string, size int32) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(placeholder)
	if err != nil {
		return nil, fmt.Errorf("read libpq variables: %w", oneLine(err))
	}
	cfg.MaxConns, cfg.MinConns, cfg.MinIdleConns = size, 0, 0
	cfg.MaxConnLifetime, cfg.MaxConnIdleTime = 0, forEver
	cfg.ShouldPing = func(_ context.Context, p pgxpool.ShouldPingParams) bool {
		return stirred(p.Conn.PgConn().Conn())
	}
	cfg.PingTimeout = pingTimeout
	cfg.BeforeConnect = func(ctx context.Context, into *pgx.ConnConfig) error {
		if err := d.settle(ctx, application); err != nil {
			return err
		}
		fresh, err := d.config(application)
		if err != nil {
			return err
		}
		fresh.Tracer = learner{&d.refusals}
		*into = *fresh
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open pool: %w", oneLine(err))
	}
	return pool, nil
}

// settle finds out which settings the server refuses, unless that is known: a pool makes one attempt
// per session, and whoever asked for it would get the refusal.
func (d *Dialer) settle(ctx context.Context, application string) error {
	if d.refusals.known() {
		return nil
	}
	conn, err := d.Connect(ctx, application)
	if err != nil {
		return err
	}
	if err := conn.Close(ctx); err != nil {
		return fmt.Errorf("close the first session: %w", err)
	}
	return nil
}

const (
	// forEver is longer than a process lives. A session that is kept has its
	// statements prepared when an event comes, and costs the server nothing.
	forEver     = 100 * 365 * 24 * time.Hour
	pingTimeout = 5 * time.Second

	// placeholder stands where pgx wants a connection string, until the first
	// connect reads the real one.
	placeholder = "host=localhost port=5432 user=bbmd dbname=bbmd sslmode=disable connect_timeout=10"
)

// config returns how to connect now.
func (d *Dialer) config(application string) (*pgx.ConnConfig, error) {
	url, err := d.database.ConnString()
	if err != nil {
		return nil, err
	}
	// The pool's parser, so that a string with pool settings is accepted as well.
	pool, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New(config.Redact(squeeze(err.Error())))
	}
	cfg := pool.ConnConfig
	cfg.DialFunc = network.Dial
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	cfg.ValidateConnect = d.validate(&cfg.Config)
	d.refusals.apply(&cfg.Config, application)
	return cfg, nil
}

// validate returns what looks at each server that is connected to. An error lets the
// connection go on to the next host.
func (d *Dialer) validate(cfg *pgconn.Config) pgconn.ValidateConnectFunc {
	demanded, otherHosts := cfg.ValidateConnect, network.HasOtherHosts(cfg)
	return func(ctx context.Context, conn *pgconn.PgConn) error {
		var err error
		if demanded != nil { // the string has target_session_attrs
			err = demanded(ctx, conn)
		} else {
			err = network.RefuseStandby(ctx, conn, otherHosts, ErrStandby)
		}
		if err != nil {
			return err
		}
		return d.Admit(ctx, conn)
	}
}

// Admit is asked of sessions that somebody else opens on the database, as its own are:
// the error wraps [ErrSuperseded] where a server has missed a promotion that the dialer knows of.
func (d *Dialer) Admit(ctx context.Context, conn *pgconn.PgConn) error {
	return d.lineage.admit(ctx, conn)
}

// lineError is an error whose text fits on one line.
type lineError struct {
	text string
	err  error
}

func (e *lineError) Error() string { return e.text }
func (e *lineError) Unwrap() error { return e.err }

// oneLine makes err fit for logs: pgx lists every host that it tried on a line
// of its own, and twice where it tried with and without TLS.
func oneLine(err error) error {
	if text := squeeze(err.Error()); text != err.Error() {
		return &lineError{text: text, err: err}
	}
	return err
}

// withoutTLS is how pgx says that a server wants none; what came of going on without follows it.
const withoutTLS = ": tls error: server refused TLS connection"

// squeeze puts text on one line, and what it says twice once.
func squeeze(text string) string {
	var parts []string
	for line := range strings.Lines(text) {
		line = strings.Join(strings.Fields(line), " ")
		if last := len(parts) - 1; last >= 0 {
			if host, refused := strings.CutSuffix(parts[last], withoutTLS); refused && strings.HasPrefix(line, host+": ") {
				parts = parts[:last]
			}
		}
		if line != "" && !slices.Contains(parts, line) {
			parts = append(parts, line)
		}
	}
	if len(parts) > 1 && strings.HasSuffix(parts[0], ":") {
		return parts[0] + " " + strings.Join(parts[1:], "; ")
	}
	return strings.Join(parts, "; ")
}
