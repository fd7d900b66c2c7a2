package executor

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// entry is how a session of a worker begins: with one write, and one answer to wait for.
type entry struct {
	opts     *Options
	spares   *spares // nil: every session is a new one
	settings Settings
	backend  backend
	trip     time.Duration // to the server and back, where it is long enough to matter

	// take returns the groups that take what else is to be had, on the backend with that process number
	// and on no other. Nil: nothing.
	take func(pid string) [][]statement
}

// backend is what a session's server process says of itself when it begins.
type backend struct {
	pid        int32 // the server's own, which a pooler's may hide
	searchPath string
}

// helloSQL asks the server who it is. It is a transaction of its own, so that its answer does not wait for what follows.
const helloSQL = "SELECT pg_backend_pid(), pg_is_in_recovery(), current_setting('search_path')"

// settingsSQL asks for each setting by its name: to list all of pg_settings costs milliseconds.
const settingsSQL = `SELECT count(set_config(name, value, false)) FROM unnest(string_to_array($1::text, chr(10)), string_to_array($2::text, chr(10))) v(name, value)
WHERE pg_backend_pid() = $3::int AND NOT pg_is_in_recovery() AND current_setting(name, true) IS NOT NULL`

// connect opens a session for a migration, or takes a spare one, makes the settings, and takes what is to be had, unless the
// server is a standby, or the backend is not this session's own: then nothing is
// left behind on sessions that a pooler lends to others. The end of connecting only ends what
// comes before the first statement.
func (e *entry) connect(ctx, connecting context.Context, migration string) (*pgx.Conn, error) {
	application := "bbmd/" + e.opts.Database + "/" + migration
	defaults := e.spares.defaults(ctx, e.opts.Pool)
	if spare := e.spares.take(ctx, defaults); spare != nil {
		if e.goesOn(ctx, spare, application) {
			return spare, nil
		}
		closeConn(ctx, spare)
		e.spares.drop(ctx) // whatever it was, a new session tells
	}
	conn, err := e.opts.Connect(connecting, application)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	noteBirth(conn, defaults)
	if err := e.begin(ctx, conn, application); err != nil {
		closeConn(ctx, conn)
		return nil, err
	}
	return conn, nil
}

// goesOn begins on a session that has waited, and reports whether it could.
func (e *entry) goesOn(ctx context.Context, spare *pgx.Conn, application string) bool {
	ctx, cancel := context.WithTimeout(ctx, spareTimeout)
	defer cancel()
	return e.begin(ctx, spare, application) == nil
}

func (e *entry) begin(ctx context.Context, conn *pgx.Conn, application string) error {
	var readOnly, made bool
	sent := time.Now()
	hello := []statement{{sql: helloSQL, row: func(values [][]byte) {
		e.trip = max(time.Since(sent)-near, 0)
		e.backend = backend{pid: integer(values[0]), searchPath: string(values[2])}
		readOnly = string(values[1]) == "t"
	}}}
	told := strconv.FormatUint(uint64(conn.PgConn().PID()), 10)
	if conn.PgConn().PID() > maxPID {
		told = "0" // a pooler's invention
	}
	err := converse(ctx, conn, append([][]statement{hello}, e.rest(told, application, &made)...)...)
	switch {
	case readOnly:
		return errReadOnly
	case err != nil:
		return fmt.Errorf("set up the session: %w", err)
	case number(e.backend.pid) != told:
		// Nothing but the question was done so far. What a pooler has set for the session nobody could set again.
		forgetBirth(conn)
		if err := keepsBackend(ctx, e.opts, conn, e.backend.pid); err != nil {
			return err
		}
		if err := converse(ctx, conn, e.rest(number(e.backend.pid), application, &made)...); err != nil {
			return fmt.Errorf("set up the session: %w", err)
		}
	}
	if !made {
		return errNotDirect
	}
	return nil
}

// maxPID is the greatest process number that the server's integers can say.
const maxPID = 1<<31 - 1

// rest returns the groups that make the settings and take what is to be had.
func (e *entry) rest(pid, application string, made *bool) [][]statement {
	names, values := sessionSettings(e.settings)
	names, values = append(names, "application_name"), append(values, application) // a spare session has another
	groups := [][]statement{{{
		sql: settingsSQL, args: []string{strings.Join(names, "\n"), strings.Join(values, "\n"), pid},
		row: func(values [][]byte) { *made = string(values[0]) != "0" },
	}}}
	if e.take != nil {
		groups = append(groups, e.take(pid)...)
	}
	return groups
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

// number renders an integer parameter.
func number(n int32) string { return strconv.FormatInt(int64(n), 10) }

// integer reads an integer that the server has just written.
func integer(value []byte) int32 {
	n, _ := strconv.ParseInt(string(value), 10, 32)
	return int32(n)
}
