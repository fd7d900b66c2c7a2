package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrSuperseded is wrapped by the error of a connection to a primary whose place
// another server has taken: a standby of it was promoted, and bbmd has worked there.
// Whoever runs the servers has to stop it, or to make it a standby.
var ErrSuperseded = errors.New("the server is an old primary, whose place another one has taken")

// lineage remembers how far the servers have come that a dialer has worked on. Each promotion of
// a standby begins a new timeline of the same system, so a server on an earlier one
// has missed a promotion: what is written there is lost in the end.
type lineage struct {
	mu       sync.Mutex
	system   string // identifier of the cluster; empty: no server has told
	timeline uint64
	sessions []net.Conn // on that timeline
}

// lineageSQL asks a server for its system and, where it takes writes, for the name of the WAL
// file that it is at, whose first eight digits are its timeline. After a promotion the
// control file learns of the timeline only with the next checkpoint.
const lineageSQL = `SELECT system_identifier, CASE WHEN pg_catalog.pg_is_in_recovery() THEN '' ELSE pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) END
FROM pg_catalog.pg_control_system()`

// admit refuses a server that has missed a promotion. At the first session on a later timeline
// it ends those on the earlier one, which nobody would hear from. A server that does not
// tell where it is, as some services do not, is accepted.
func (l *lineage) admit(ctx context.Context, conn *pgconn.PgConn) error {
	system, timeline, err := lineageOf(ctx, conn)
	if err != nil {
		return err
	}
	if system == "" {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case system != l.system:
		l.system, l.timeline, l.sessions = system, timeline, nil // it has moved: nothing can be compared
	case timeline < l.timeline:
		return fmt.Errorf("%w: it is on timeline %d, and bbmd has worked on timeline %d: stop it, or make it a standby; if it is the one to use, restart bbmd",
			ErrSuperseded, timeline, l.timeline)
	case timeline > l.timeline:
		l.timeline = timeline
		l.retire()
	}
	l.remember(conn)
	return nil
}

// lineageOf returns what the server tells; an empty system where it does not. The error
// is the connection's.
func lineageOf(ctx context.Context, conn *pgconn.PgConn) (system string, timeline uint64, err error) {
	const digits = 8
	results, err := conn.Exec(ctx, lineageSQL).ReadAll()
	if _, refused := errors.AsType[*pgconn.PgError](err); refused && !conn.IsClosed() {
		return "", 0, nil
	}
	if err != nil {
		return "", 0, fmt.Errorf("ask the server for its timeline: %w", err)
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return "", 0, nil
	}
	row := results[0].Rows[0]
	if len(row) != 2 || len(row[1]) < digits {
		return "", 0, nil
	}
	if timeline, err = strconv.ParseUint(string(row[1][:digits]), 16, 32); err != nil {
		return "", 0, nil //nolint:nilerr // it does not tell in the way that we know
	}
	return string(row[0]), timeline, nil
}

// retire ends the sessions that are there. The caller holds the mutex.
func (l *lineage) retire() {
	for _, conn := range l.sessions {
		_ = conn.Close() // its owner finds the connection lost
	}
	l.sessions = nil
}

// remember adds a session, and forgets those that are closed. The caller holds the mutex.
func (l *lineage) remember(conn *pgconn.PgConn) {
	l.sessions = append(slices.DeleteFunc(l.sessions, closed), beneath(conn.Conn()))
}

// beneath returns the connection that TLS, if there is any, goes through: to close that one
// waits for nobody.
func beneath(conn net.Conn) net.Conn {
	if secured, ok := conn.(interface{ NetConn() net.Conn }); ok {
		return secured.NetConn()
	}
	return conn
}

// closed reports whether a connection was closed from this side.
func closed(conn net.Conn) bool {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	return err != nil || raw.Control(func(uintptr) {}) != nil
}
