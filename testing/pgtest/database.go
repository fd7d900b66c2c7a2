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
	// URL of the database over TCP, as a superuser, password included.
	URL string
}

// New returns a database with bbmd's control schema in schema bbm.
func New(t testing.TB) *Database {
	t.Helper()
	return clone(t, sharedURL(t), controlTemplate())
}

// NewEmpty returns an empty database.
func NewEmpty(t testing.TB) *Database {
	t.Helper()
	return clone(t, sharedURL(t), Template{})
}

// From returns a clone of the caller's template.
func From(t testing.TB, template Template) *Database {
	t.Helper()
	return clone(t, sharedURL(t), template)
}

// Pool returns a pool of connections that closes with the test.
func (d *Database) Pool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), d.URL)
	if err != nil {
		t.Fatalf("open a pool to %s: %v", d.Name, err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// Conn returns a connection that closes with the test.
func (d *Database) Conn(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := connect(t.Context(), d.URL)
	if err != nil {
		t.Fatalf("connect to %s: %v", d.Name, err)
	}
	t.Cleanup(func() { closeConn(t, conn) })
	return conn
}

// Exec runs a statement, or without arguments several, on a connection of
// its own: nothing of the session outlives the call.
func (d *Database) Exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	conn := d.brief(t)
	defer closeConn(t, conn)
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%v\nin: %s", err, sql)
	}
}

// WaitFor waits until a query that returns one boolean returns true, and
// fails the test after half a minute. Where a program signals what it did,
// wait for that instead.
func (d *Database) WaitFor(t testing.TB, sql string, args ...any) {
	t.Helper()
	const patience, pause = 30 * time.Second, 10 * time.Millisecond
	conn := d.brief(t)
	defer closeConn(t, conn)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		var reached *bool
		if err := conn.QueryRow(ctx, sql, args...).Scan(&reached); err != nil {
			t.Fatalf("%v\nwhile waiting for: %s", err, sql)
		}
		if reached != nil && *reached {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not true after %s: %s", patience, sql)
		}
	}
}

// One returns the single column of the single row of a query.
func One[T any](t testing.TB, d *Database, sql string, args ...any) T {
	t.Helper()
	return collect(t, d, pgx.CollectExactlyOneRow, pgx.RowTo[T], sql, args)
}

// Column returns the single column of all rows of a query.
func Column[T any](t testing.TB, d *Database, sql string, args ...any) []T {
	t.Helper()
	return collect(t, d, pgx.CollectRows, pgx.RowTo[T], sql, args)
}

// Rows returns all rows of a query as structs, whose fields take the columns
// of their names.
func Rows[T any](t testing.TB, d *Database, sql string, args ...any) []T {
	t.Helper()
	return collect(t, d, pgx.CollectRows, pgx.RowToStructByName[T], sql, args)
}

func collect[T, R any](t testing.TB, d *Database, gather func(pgx.Rows, pgx.RowToFunc[T]) (R, error), row pgx.RowToFunc[T], sql string, args []any) R {
	t.Helper()
	conn := d.brief(t)
	defer closeConn(t, conn)
	rows, err := conn.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%v\nin: %s", err, sql)
	}
	result, err := gather(rows, row)
	if err != nil {
		t.Fatalf("%v\nin: %s", err, sql)
	}
	return result
}

// brief opens a connection for one call.
func (d *Database) brief(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := connect(t.Context(), d.URL)
	if err != nil {
		t.Fatalf("connect to %s: %v", d.Name, err)
	}
	return conn
}

func closeConn(t testing.TB, conn *pgx.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), deadline)
	defer cancel()
	_ = conn.Close(ctx) // a test may have cut it
}
