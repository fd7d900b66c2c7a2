package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// errNotDirect says that something between bbmd and the server hands each
// statement to another backend.
var errNotDirect = errors.New("session locks do not hold on this connection: it goes through a transaction pooler; give a url that leads to PostgreSQL directly, or through a pooler in session mode")

// errReadOnly says that the server is a standby, or was demoted to one.
var errReadOnly = errors.New("the server is read-only: it is a standby; connect to the primary (target_session_attrs=read-write)")

// session is a worker's place on the server: one connection for its batches,
// whose advisory locks say that the owner lives and hold its slot, and perhaps a second one
// for looking ahead. A session serves one migration, so that whatever a Work leaves
// behind on its connection goes with it.
type session struct {
	store     control.Store
	migration int32
	conn      *pgx.Conn
	epoch     int32
	slot      int32         // number of its place among the migration's workers
	trip      time.Duration // to the server and back, where it is long enough to matter
	backend
}

// errNoSlot is why a worker ends when other workers hold all places of its migration.
var errNoSlot = errors.New("all of the migration's places for workers are taken")

// sessionSettings are set on every session of a worker. Names that a server
// does not know are left out: idle_session_timeout and
// client_connection_check_interval came with version 14.
func sessionSettings(s Settings) (names, values []string) {
	list := [][2]string{
		{"default_transaction_isolation", "read committed"}, // zero rows, not 40001, must answer the fence
		{"default_transaction_read_only", "off"},
		{"row_security", "off"},               // an error instead of rows silently missed
		{"standard_conforming_strings", "on"}, // as registry.ParseStatement reads a statement
		{"extra_float_digits", "1"},
		{"DateStyle", "ISO"},
		{"IntervalStyle", "postgres"},
		{"TimeZone", "UTC"},
		{"bytea_output", "hex"},
		{"synchronous_commit", s.SynchronousCommit},
		{"statement_timeout", milliseconds(s.StatementTimeout)},
		{"lock_timeout", milliseconds(s.LockTimeout)},
		{"idle_in_transaction_session_timeout", "60s"},
		{"idle_session_timeout", "60s"}, // a frozen worker that still answers keepalives must not hold its jobs for ever
		{"tcp_keepalives_idle", "5"},
		{"tcp_keepalives_interval", "2"},
		{"tcp_keepalives_count", "3"},
		{"tcp_user_timeout", "10s"},
		{"client_connection_check_interval", "2s"},
	}
	for _, s := range list {
		names, values = append(names, s[0]), append(values, s[1])
	}
	return names, values
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%dms", d.Milliseconds()) }

// settingsSQL asks for each setting by its name: to list all of pg_settings costs milliseconds.
const settingsSQL = `SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) v(name, value)
WHERE pg_backend_pid() = $3 AND current_setting(name, true) IS NOT NULL`

// openSession connects for one worker of a migration, takes an epoch and one of
// the migration's slots. It returns [errNoSlot] when others hold them all.
func openSession(ctx context.Context, opts *Options, c *control.Candidate, settings Settings) (*session, error) {
	conn, began, err := prepareConn(ctx, opts, c.Name, settings)
	if err != nil {
		return nil, err
	}
	s := &session{store: opts.Store, migration: c.ID, conn: conn, backend: began}
	if err := s.take(ctx, c.Parallelism); err != nil {
		s.close(ctx)
		return nil, err
	}
	return s, nil
}

// backend is what a session's server process says of itself when it begins.
type backend struct {
	pid        int32 // the server's own, which a pooler's may hide
	searchPath string
}

// prepareConn connects and makes the settings.
func prepareConn(ctx context.Context, opts *Options, migration string, settings Settings) (*pgx.Conn, backend, error) {
	conn, err := opts.Connect(ctx, "bbmd/"+opts.Database+"/"+migration)
	if err != nil {
		return nil, backend{}, fmt.Errorf("connect: %w", err)
	}
	began, err := setUp(ctx, opts, conn, settings)
	if err != nil {
		closeConn(ctx, conn)
		return nil, backend{}, err
	}
	return conn, began, nil
}

// setUp makes the settings, unless the server is a standby, or the backend is not this session's
// own: then nothing is left behind on sessions that a pooler lends to others.
func setUp(ctx context.Context, opts *Options, conn *pgx.Conn, settings Settings) (began backend, err error) {
	var readOnly bool
	err = conn.QueryRow(ctx, "SELECT pg_backend_pid(), pg_is_in_recovery(), current_setting('search_path')", control.Once).Scan(&began.pid, &readOnly, &began.searchPath)
	if err != nil {
		return began, fmt.Errorf("set up the session: %w", err)
	}
	if readOnly {
		return began, errReadOnly
	}
	if uint32(began.pid) != conn.PgConn().PID() { //nolint:gosec // process numbers are positive
		if err := keepsBackend(ctx, opts, conn, began.pid); err != nil {
			return began, err
		}
	}
	names, values := sessionSettings(settings)
	tag, err := conn.Exec(ctx, settingsSQL, control.Once, names, values, began.pid)
	switch {
	case err != nil:
		return began, fmt.Errorf("set up the session: %w", err)
	case tag.RowsAffected() == 0:
		return began, errNotDirect
	}
	return began, nil
}

// besideTimeout bounds what takes milliseconds, unless a pooler has no second backend to give.
const besideTimeout = 10 * time.Second

// keepsBackend is asked where startup told another process number than the server: something is in
// between. A pooler that lends the backend used last gives a lonely client the same one all the
// time, and another one only while that is busy: so another session keeps it busy.
func keepsBackend(ctx context.Context, opts *Options, conn *pgx.Conn, pid int32) error {
	ctx, cancel := context.WithTimeoutCause(ctx, besideTimeout, errors.New("the pooler has no second server connection to give"))
	defer cancel()
	other, err := opts.Connect(ctx, "bbmd/"+opts.Database+"/pooler")
	if err != nil {
		return fmt.Errorf("connect beside a session: %w", err)
	}
	defer closeConn(ctx, other)
	tx, err := other.Begin(ctx)
	if err != nil {
		return fmt.Errorf("prove the session: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // it only read
	var busy, mine int32
	if err := tx.QueryRow(ctx, "SELECT pg_backend_pid()", control.Once).Scan(&busy); err != nil {
		return fmt.Errorf("prove the session: %w", err)
	}
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()", control.Once).Scan(&mine); err != nil {
		return fmt.Errorf("prove the session: %w", err)
	}
	if busy == pid || mine != pid {
		return errNotDirect
	}
	return nil
}

func (s *session) take(ctx context.Context, parallelism int32) error {
	slot, ok, err := s.store.TakeSlot(ctx, s.conn, s.migration, parallelism)
	if err != nil {
		return err
	}
	if !ok {
		return errNoSlot
	}
	s.slot = slot
	if s.epoch, err = s.store.TakeEpoch(ctx, s.conn); err != nil {
		return err
	}
	began := time.Now()
	held, err := s.store.HoldsEpoch(ctx, s.conn, s.epoch)
	s.trip = max(time.Since(began)-near, 0)
	if err == nil && !held {
		err = errNotDirect
	}
	return err
}

// near is how long a short statement takes of which the way to the server is no part to speak of.
const near = time.Millisecond

// work is the server's part of a group that took so long from sending it to its answer. The way
// there is known from a single statement, which may have been slow, so most of it is never left out.
func (s *session) work(took time.Duration) time.Duration {
	s.trip = min(s.trip, took)
	return max(took-s.trip, took/4)
}

// close ends the session. The locks are given up first, so that another worker
// finds the slot free as soon as close returns.
func (s *session) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if !s.conn.IsClosed() {
		// A session that cannot answer any more is ended by the server: nothing to add.
		_ = s.store.ReleaseLocks(ctx, s.conn)
	}
	closeConn(ctx, s.conn)
}

func closeConn(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = conn.Close(ctx) // the connection is of no more use, whatever the answer
}
