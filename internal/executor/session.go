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
// for looking ahead. Whatever a Work leaves behind on its connection goes with the migration: the
// session ends with it, or is made as new.
type session struct {
	store     control.Store
	migration int32
	conn      *pgx.Conn
	epoch     int32
	slot      int32         // number of its place among the migration's workers
	trip      time.Duration // to the server and back, where it is long enough to matter
	spares    *spares       // where it goes in the end, if it may be used again
	lent      bool          // a Work has got the connection itself, and may have kept it
	failed    bool          // something went wrong on it
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

// openSession connects for one worker of a migration, takes one of the migration's
// slots, and then an epoch. It returns [errNoSlot] when others hold them all.
// See [entry.connect] for connecting.
func openSession(ctx, connecting context.Context, opts *Options, spares *spares, c *control.Candidate, settings Settings) (*session, error) {
	var got seat
	e := entry{opts: opts, spares: spares, settings: settings, take: func(pid string) [][]statement {
		return [][]statement{
			{{sql: opts.Store.SeatSQL(), args: []string{number(c.ID), number(c.Parallelism), pid}, row: got.taken}},
			{{sql: opts.Store.KeepEpochSQL(), row: got.keeps}},
		}
	}}
	conn, err := e.connect(ctx, connecting, c.Name)
	if err != nil {
		return nil, err
	}
	s := &session{store: opts.Store, migration: c.ID, conn: conn, slot: got.slot, epoch: got.epoch, trip: e.trip, spares: spares, backend: e.backend}
	switch {
	case !got.direct:
		err = errNotDirect
	case !got.placed:
		err = errNoSlot
	case !got.free: // the epoch's lock is somebody else's: it is passed over
		s.epoch, err = s.store.TakeEpoch(ctx, s.conn)
	case !got.kept:
		err = errNotDirect
	}
	if err != nil {
		s.failed = true
		s.close(ctx)
		return nil, err
	}
	return s, nil
}

// seat is the server's answer to what makes a session a worker's.
type seat struct {
	direct bool // the backend is the session's own
	placed bool // a slot was free
	slot   int32
	epoch  int32
	free   bool // the epoch's lock was to be had
	kept   bool // and is held as it shall be, by the same backend
}

func (s *seat) taken(row [][]byte) {
	s.direct, s.placed, s.free = string(row[0]) == "t", row[1] != nil, string(row[3]) == "t"
	s.slot, s.epoch = integer(row[1]), integer(row[2])
}

func (s *seat) keeps(row [][]byte) { s.kept = string(row[0]) == "t" }

// near is how long a short statement takes of which the way to the server is no part to speak of.
const near = time.Millisecond

// work is the server's part of a group that took so long from sending it to its answer. The way
// there is known from a single statement, which may have been slow, so most of it is never left out.
func (s *session) work(took time.Duration) time.Duration {
	s.trip = min(s.trip, took)
	return max(took-s.trip, took/4)
}

// close ends the session, or keeps it for the next migration. The locks are given up first, so that another worker
// finds the slot free as soon as close returns.
func (s *session) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if !s.failed && !s.lent && s.spares.put(ctx, s.conn) {
		return
	}
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
