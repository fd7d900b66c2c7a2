package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/dial"
	"github.com/bbmd-dev/bbmd/notify"
)

// oldestServer is the oldest major version of PostgreSQL that bbmd runs on.
const oldestServer = 13

// session is what pg_stat_activity shows for the doctor's sessions: a command's name, not a daemon's.
func (p *patient) session() string { return "bbmd/" + p.name + "/doctor" }

const poolerHint = "give a url that leads to PostgreSQL directly, or through a pooler in session mode"

func checkReachable(ctx context.Context, p *patient) (string, error) {
	began := time.Now()
	conn, err := p.dialer.Connect(ctx, p.session())
	if err != nil {
		return "", fail(err.Error(), "without the database nothing can run, and nothing can be looked at", connectHint(err))
	}
	p.conn = conn
	cfg := conn.Config()
	return fmt.Sprintf("database %s on %s:%d as %s, %v", cfg.Database, cfg.Host, cfg.Port, cfg.User, time.Since(began).Round(time.Millisecond)), nil
}

// connectHint says what to do about a connection that did not come to be.
func connectHint(err error) string {
	const (
		invalidPassword      = "28P01"
		invalidAuthorization = "28000"
		unknownDatabase      = "3D000"
		tooManyConnections   = "53300"
		cannotConnectNow     = "57P03"
	)
	if errors.Is(err, dial.ErrStandby) {
		return "point url at the primary, or name all hosts in it with target_session_attrs=primary"
	}
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return networkHint(err)
	}
	switch pgErr.Code {
	case invalidPassword:
		return "correct the password (url, url_file, PGPASSWORD or ~/.pgpass)"
	case invalidAuthorization:
		return "correct the user, or allow it in pg_hba.conf"
	case unknownDatabase:
		return "create the database, or correct its name"
	case tooManyConnections:
		return "raise max_connections, or close connections of others"
	case cannotConnectNow:
		return "the server is starting or stopping: try again"
	default:
		return "see what the server says, and its log"
	}
}

// networkHint says what to do where no server has answered.
func networkHint(err error) string {
	if _, unknown := errors.AsType[*net.DNSError](err); unknown {
		return "correct the host's name, or see to it that this machine can look it up"
	}
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); unknown {
		return "name the certificate of whoever signed the server's, with sslrootcert"
	}
	if strings.HasSuffix(err.Error(), "server refused TLS connection") {
		return "let the server have TLS, or say sslmode=disable where nobody can listen on the way to it"
	}
	return "check that the server runs and that host and port are right and open to this machine"
}

// wayOut is what to do about a connection that a command did not get, to be appended to its error. Errors of
// several lines, as of several databases, are left as they are.
func wayOut(err error) string {
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	if !connecting || errors.Is(err, dial.ErrStandby) || strings.Contains(err.Error(), "\n") {
		return ""
	}
	return "; " + connectHint(err)
}

func checkServerVersion(ctx context.Context, p *patient) (string, error) {
	var number, version string
	err := row(ctx, p.conn, "SELECT current_setting('server_version_num'), current_setting('server_version')").Scan(&number, &version)
	if err != nil {
		return "", err
	}
	if n, err := strconv.Atoi(number); err != nil || n/10000 < oldestServer {
		return "", fail("PostgreSQL "+version, "statements that bbmd sends are not known there", fmt.Sprintf("bbmd needs %d or newer: upgrade the server", oldestServer))
	}
	return "PostgreSQL " + version, nil
}

func checkPrimary(ctx context.Context, p *patient) (string, error) {
	var standby, readOnly bool
	err := row(ctx, p.conn, "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')::bool").Scan(&standby, &readOnly)
	switch {
	case err != nil:
		return "", err
	case standby:
		return "", fail("the server is a standby", "nothing can be written there", "name the primary, or all hosts with target_session_attrs=read-write")
	case readOnly:
		return "the server takes writes", warn("default_transaction_read_only is on", "bbmd's own sessions switch it off, and write all the same", "switch it off, or stop bbmd, if nobody is to write")
	default:
		return "the server takes writes", nil
	}
}

// doctorLock is the class of the advisory lock that the doctor takes for a
// moment; its second key is the process number of the doctor's session.
const doctorLock = 7709

// checkSessionLocks finds out whether two sessions are two sessions: a transaction pooler
// gives each statement to whichever server connection is free.
func checkSessionLocks(ctx context.Context, p *patient) (string, error) {
	var pid int32
	var locked bool
	err := row(ctx, p.conn, "SELECT pg_backend_pid(), pg_try_advisory_lock($1, pg_backend_pid())", int32(doctorLock)).Scan(&pid, &locked)
	if err != nil {
		return "", err
	}
	defer func() {
		_, _ = p.conn.Exec(ctx, "SELECT pg_advisory_unlock($1, $2)", pgx.QueryExecModeExec, int32(doctorLock), pid)
	}() // the session ends soon
	if !locked {
		return "", fail("an advisory lock that nobody can hold is held", "somebody else uses the keys by which bbmd knows who lives", "does an application use the keys (7709, *)?")
	}
	other, err := p.dialer.Connect(ctx, p.session())
	if err != nil {
		return "", err
	}
	defer func() { _ = other.Close(ctx) }()
	held, err := lockHeld(ctx, p.conn, other, pid)
	switch {
	case err != nil:
		return "", err
	case !held:
		return "", fail("session locks do not hold: the connection goes through a transaction pooler",
			"the locks that tell a living worker from a dead one, settings and prepared statements would go to the sessions of others", poolerHint)
	default:
		return "hold", nil
	}
}

// lockHeld looks whether conn is where it was, and has its lock: in the next transaction, for
// poolers that hand out their server connections in turn, and while another
// session is busy, for those that hand out the last one again.
func lockHeld(ctx context.Context, conn, other *pgx.Conn, pid int32) (bool, error) {
	if held, err := holds(ctx, conn, pid); err != nil || !held {
		return false, err
	}
	tx, err := other.Begin(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback(ctx) }() // it only read
	var otherPID int32
	if err := row(ctx, other, "SELECT pg_backend_pid()").Scan(&otherPID); err != nil || otherPID == pid {
		return false, err
	}
	return holds(ctx, conn, pid)
}

func holds(ctx context.Context, conn *pgx.Conn, pid int32) (held bool, err error) {
	err = row(ctx, conn, `SELECT pg_backend_pid() = $2 AND EXISTS (SELECT FROM pg_catalog.pg_locks
		WHERE locktype = 'advisory' AND classid = $1::int::oid AND objid = $2::int::oid AND pid = $2 AND granted)`, int32(doctorLock), pid).Scan(&held)
	return held, err
}

// checkEvents sends a notification on the one connection and waits for it on the other.
// The channel is the one that wakes nobody.
func checkEvents(ctx context.Context, p *patient) (string, error) {
	if p.config.Events == config.EventsWAL {
		return checkStream(ctx, p)
	}
	url, err := p.config.Databases[p.name].ListenConnString()
	if err != nil {
		return "", err
	}
	arrived := make(chan notify.Event, 1)
	listener, err := notify.NewListener(notify.ListenerConfig{URL: url, Name: p.session()})
	if err != nil {
		return "", err
	}
	if err := listener.Check(ctx); err != nil {
		return "", fail(err.Error(), noEvents, "give a listen_url that leads to PostgreSQL directly")
	}
	ctx, cancel := context.WithCancel(ctx)
	token := fmt.Sprintf("doctor %d %d", p.conn.PgConn().PID(), time.Now().UnixNano())
	resync, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_ = listener.Run(ctx, func(e notify.Event) { // it returns what cancel said
			if e.Resync() {
				close(resync)
			} else if e.Payload == token {
				arrived <- e
			}
		})
	}()
	defer func() { cancel(); <-done }()
	return notified(ctx, p, token, resync, arrived)
}

const noEvents = "the daemon waits for events and never polls: without them nothing begins when it is enqueued"

// notifyTimeout is how long a notification may take.
const notifyTimeout = 5 * time.Second

func notified(ctx context.Context, p *patient, token string, listening <-chan struct{}, arrived <-chan notify.Event) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	select {
	case <-listening:
	case <-ctx.Done():
		return "", fail("the listening connection was lost", noEvents, "look into the server's log, then try again")
	}
	began := time.Now()
	if _, err := p.conn.Exec(ctx, "SELECT pg_notify($1, $2)", pgx.QueryExecModeExec, notify.ChannelProgress, token); err != nil {
		return "", err
	}
	select {
	case <-arrived:
		return "a notification arrived after " + time.Since(began).Round(10*time.Microsecond).String(), nil
	case <-ctx.Done():
		return "", fail(fmt.Sprintf("a notification did not arrive within %v", notifyTimeout), noEvents, "let url and listen_url lead to the same database of the same server")
	}
}
