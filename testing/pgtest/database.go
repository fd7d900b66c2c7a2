package pgtest

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Database is one test's own database. It goes away with the test.
type Database struct {
	// Name of the database, good as a part of other names: at most 50 bytes,
	// lower-case letters, digits and underscores.
	Name string
	// URL of the database over TCP, as [Owner], who is no superuser, password included.
	URL string

	superuser string // the server's; empty: URL's user is it
}

// New returns a database with bbmd's control schema in schema bbm.
func New(tb testing.TB) *Database {
	tb.Helper()
	return clone(tb, sharedURL(tb), controlTemplate())
}

// NewEmpty returns an empty database.
func NewEmpty(tb testing.TB) *Database {
	tb.Helper()
	return clone(tb, sharedURL(tb), emptyTemplate())
}

// From returns a clone of the caller's template.
func From(tb testing.TB, template Template) *Database {
	tb.Helper()
	return clone(tb, sharedURL(tb), template)
}

// Pool returns a pool of connections that closes with the test.
func (d *Database) Pool(tb testing.TB) *pgxpool.Pool {
	tb.Helper()
	pool, err := pgxpool.New(tb.Context(), d.URL)
	if err != nil {
		tb.Fatalf("open a pool to %s: %v", d.Name, err)
	}
	tb.Cleanup(pool.Close)
	return pool
}

// Conn returns a connection that closes with the test.
func (d *Database) Conn(tb testing.TB) *pgx.Conn {
	tb.Helper()
	conn, err := connect(tb.Context(), d.URL)
	if err != nil {
		tb.Fatalf("connect to %s: %v", d.Name, err)
	}
	tb.Cleanup(func() { closeConn(tb, conn) })
	return conn
}

// Exec runs a statement, or without arguments several, on a connection of
// its own: nothing of the session outlives the call, which takes two minutes
// at most.
func (d *Database) Exec(tb testing.TB, sql string, args ...any) {
	tb.Helper()
	conn := d.brief(tb)
	defer closeConn(tb, conn)
	ctx, cancel := context.WithTimeout(tb.Context(), deadline)
	defer cancel()
	if _, err := conn.Exec(ctx, sql, args...); err != nil {
		tb.Fatalf("%v\nin: %s", err, sql)
	}
}

// WaitFor waits until a query that returns one boolean returns true, and
// fails the test after two minutes: a machine may be busy. Where a program
// signals what it did, wait for that instead.
func (d *Database) WaitFor(tb testing.TB, sql string, args ...any) {
	tb.Helper()
	const patience, pause = 2 * time.Minute, 10 * time.Millisecond
	conn := d.brief(tb)
	defer closeConn(tb, conn)
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		var reached *bool
		if err := conn.QueryRow(ctx, sql, args...).Scan(&reached); err != nil {
			tb.Fatalf("%v\nwhile waiting for: %s", err, sql)
		}
		if reached != nil && *reached {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tb.Fatalf("not true after %s: %s", patience, sql)
		}
	}
}

// EndSessions ends the sessions of an application on this database, and returns when they are gone.
func (d *Database) EndSessions(tb testing.TB, application string) {
	tb.Helper()
	pids := Column[int](tb, d, "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1", application)
	d.Superuser(tb).Exec(tb, "SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS ended (pid)", pids)
	// That pg_terminate_backend itself waits is new in PostgreSQL 14.
	d.WaitFor(tb, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = ANY ($1))", pids)
}

// Major returns the major version of the server.
func (d *Database) Major(tb testing.TB) int {
	tb.Helper()
	return One[int](tb, d, "SELECT current_setting('server_version_num')::int / 10000")
}

// One returns the single column of the single row of a query.
func One[T any](tb testing.TB, d *Database, sql string, args ...any) T {
	tb.Helper()
	return collect(tb, d, pgx.CollectExactlyOneRow, pgx.RowTo[T], sql, args)
}

// Column returns the single column of all rows of a query.
func Column[T any](tb testing.TB, d *Database, sql string, args ...any) []T {
	tb.Helper()
	return collect(tb, d, pgx.CollectRows, pgx.RowTo[T], sql, args)
}

// Rows returns all rows of a query as structs, whose fields take the columns
// of their names.
func Rows[T any](tb testing.TB, d *Database, sql string, args ...any) []T {
	tb.Helper()
	return collect(tb, d, pgx.CollectRows, pgx.RowToStructByName[T], sql, args)
}

func collect[T, R any](tb testing.TB, d *Database, gather func(pgx.Rows, pgx.RowToFunc[T]) (R, error), row pgx.RowToFunc[T], sql string, args []any) R {
	tb.Helper()
	conn := d.brief(tb)
	defer closeConn(tb, conn)
	ctx, cancel := context.WithTimeout(tb.Context(), deadline)
	defer cancel()
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		tb.Fatalf("%v\nin: %s", err, sql)
	}
	result, err := gather(rows, row)
	if err != nil {
		tb.Fatalf("%v\nin: %s", err, sql)
	}
	return result
}

// brief opens a connection for one call.
func (d *Database) brief(tb testing.TB) *pgx.Conn {
	tb.Helper()
	conn, err := connect(tb.Context(), d.URL)
	if err != nil {
		tb.Fatalf("connect to %s: %v", d.Name, err)
	}
	return conn
}

func closeConn(tb testing.TB, conn *pgx.Conn) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), deadline)
	defer cancel()
	_ = conn.Close(ctx) // a test may have cut it
}
