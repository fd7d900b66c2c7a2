package executor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
)

const (
	// spareTime is how long a session may wait for the next migration: long enough for a queue in which one follows
	// the other, and for one that waits for the next release not to hold connections meanwhile.
	spareTime = 30 * time.Second
	// spareAge is how old a session may get. What the server keeps in memory for it grows with all that it has seen, and only who
	// connects learns where the name of the server leads by now, and whether it has missed a promotion.
	spareAge = time.Minute
	// spareTimeout bounds what a spare session is asked to begin with, and renewTimeout what makes one. Who does not answer
	// is not there any more.
	spareTimeout = 5 * time.Second
	renewTimeout = 2 * time.Second
)

// spares are sessions that wait for the next migration, made as new: to connect, and to fill a new session's
// caches, takes the server as long as some batches. Nil has none, and keeps none.
type spares struct {
	application string        // under which the server shows them
	patience    time.Duration // for how long one waits
	mu          sync.Mutex
	idle        []*spare // that came last, last
	closed      bool
	closing     sync.WaitGroup
}

type spare struct {
	conn  *pgx.Conn
	timer *time.Timer // ends it
}

func newSpares(database string) *spares {
	return &spares{application: "bbmd/" + database + "/spare", patience: spareTime}
}

// birth is what a session has from when it was opened, where it goes on to tell.
type birth struct {
	at       time.Time
	defaults string // see [spares.defaults]
}

const keyBirth = "bbmd.birth"

func noteBirth(conn *pgx.Conn, defaults string) {
	conn.PgConn().CustomData()[keyBirth] = birth{time.Now(), defaults}
}

// forgetBirth keeps a session from ever being spare.
func forgetBirth(conn *pgx.Conn) { delete(conn.PgConn().CustomData(), keyBirth) }

func birthOf(conn *pgx.Conn) (b birth, known bool) {
	b, known = conn.PgConn().CustomData()[keyBirth].(birth)
	return b, known
}

// defaultsSQL returns the settings with which sessions of this role on this database begin, as somebody has altered these.
const defaultsSQL = `SELECT coalesce(string_agg(format('%s %s %s', setdatabase, setrole, setconfig), E'\n' ORDER BY setdatabase, setrole), '')
FROM pg_catalog.pg_db_role_setting
WHERE setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
  AND setrole IN (0, (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user))`

// defaults returns what new sessions begin with: one that is made as new has what it began with itself. It is empty where
// that cannot be known.
func (s *spares) defaults(ctx context.Context, pool control.DB) string {
	if s == nil {
		return ""
	}
	var defaults string
	if err := pool.QueryRow(ctx, defaultsSQL).Scan(&defaults); err != nil {
		return ""
	}
	return "known " + defaults // not empty, even where nobody has altered anything
}

// take returns the session that came last and began with these defaults, or nil. Those that began with others are closed.
func (s *spares) take(ctx context.Context, defaults string) *pgx.Conn {
	for conn := s.pop(); conn != nil; conn = s.pop() {
		if b, _ := birthOf(conn); b.defaults == defaults && defaults != "" {
			return conn
		}
		closeConn(ctx, conn)
	}
	return nil
}

func (s *spares) pop() *pgx.Conn {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.idle) - 1
	if last < 0 {
		return nil
	}
	conn := s.idle[last].conn
	s.idle[last].timer.Stop()
	s.idle = s.idle[:last]
	return conn
}

// put makes a session as new and keeps it. It reports whether it did; otherwise the session is still the caller's. What
// belongs to the session, its locks first of all, is gone when put has returned true.
func (s *spares) put(ctx context.Context, conn *pgx.Conn) bool {
	if s == nil || conn.IsClosed() || conn.PgConn().TxStatus() != 'I' {
		return false
	}
	if b, known := birthOf(conn); !known || time.Since(b.at) > spareAge {
		return false
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), renewTimeout)
	defer cancel()
	if s.renew(ctx, conn) != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	kept := &spare{conn: conn}
	rest := context.WithoutCancel(ctx) // its end may come after whoever puts it
	kept.timer = time.AfterFunc(s.patience, func() { s.end(rest, kept) })
	s.idle = append(s.idle, kept)
	return true
}

// renewedSQL finishes what DISCARD ALL has begun, and asks whether the role may mark what it writes as another server's: before PostgreSQL 14 only
// a superuser could, whatever the privileges say.
const renewedSQL = `SELECT set_config('application_name', $1, false),
  pg_catalog.has_function_privilege('pg_catalog.pg_replication_origin_session_is_setup()', 'EXECUTE')
  AND (current_setting('server_version_num')::int >= 140000 OR current_setting('is_superuser') = 'on')`

var errMarked = errors.New("what the session writes is marked as another server's")

// renew takes all away from a session that somebody may have left there, on both sides of it.
func (s *spares) renew(ctx context.Context, conn *pgx.Conn) error {
	if err := conn.DeallocateAll(ctx); err != nil { // pgx has a list of its own
		return fmt.Errorf("make a session as new: %w", err)
	}
	var marks, marked bool
	err := converse(ctx, conn,
		[]statement{{sql: "DISCARD ALL"}},
		[]statement{
			{sql: "RESET ROLE"}, // DISCARD ALL forgets the role that a session began with, before November 2024
			{sql: renewedSQL, args: []string{s.application}, row: func(values [][]byte) { marks = string(values[1]) == "t" }},
		})
	if err == nil && marks {
		err = converse(ctx, conn, []statement{{sql: "SELECT pg_catalog.pg_replication_origin_session_is_setup()", row: func(values [][]byte) { marked = string(values[0]) == "t" }}})
	}
	if err == nil && marked {
		err = errMarked
	}
	if err != nil {
		return err
	}
	return forgetNotifications(ctx, conn)
}

// forgetNotifications drops what a Work has listened for: pgx keeps it until somebody reads it.
func forgetNotifications(ctx context.Context, conn *pgx.Conn) error {
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for {
		if _, err := conn.WaitForNotification(ended); err != nil {
			break
		}
	}
	if conn.IsClosed() {
		return errConnection
	}
	return nil
}

// end closes a session that nobody has taken.
func (s *spares) end(ctx context.Context, kept *spare) {
	if s.remove(kept) {
		defer s.closing.Done()
		closeConn(ctx, kept.conn)
	}
}

func (s *spares) remove(kept *spare) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.idle {
		if other == kept {
			s.idle = append(s.idle[:i], s.idle[i+1:]...)
			s.closing.Add(1)
			return true
		}
	}
	return false
}

// drop closes all that are there: one of them has failed.
func (s *spares) drop(ctx context.Context) {
	for conn := s.pop(); conn != nil; conn = s.pop() {
		closeConn(ctx, conn)
	}
}

// close does the same, for good.
func (s *spares) close(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.drop(ctx)
	s.closing.Wait()
}
