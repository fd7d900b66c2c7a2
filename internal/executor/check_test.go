package executor_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// endings are ways in which a connection may end while a Work's Check uses it. They tell the Check
// something else each: an SQLSTATE, an error of the network, nothing but an end, or another error of its own.
var endings = map[string]func(ctx context.Context, conn *pgx.Conn) error{
	"terminated": func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SELECT pg_terminate_backend(pg_backend_pid())")
		return err
	},
	"cut": func(ctx context.Context, conn *pgx.Conn) error {
		_ = conn.PgConn().Conn().Close() // what matters is that it is not there any more
		_, err := conn.Exec(ctx, "SELECT 1")
		return err
	},
	"ended": func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "SELECT pg_terminate_backend(pg_backend_pid())"); err == nil {
			return errors.New("the session goes on")
		}
		_, err := conn.Exec(ctx, "SELECT 1")
		return err
	},
	"in the Work's words": func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "SELECT pg_terminate_backend(pg_backend_pid())"); err == nil {
			return errors.New("the session goes on")
		}
		return errors.New("I cannot look")
	},
}

// What a Check finds fails the migration. That it could not look is tried again.
func TestConnectionThatEndsDuringTheCheckIsNoRefusal(t *testing.T) {
	t.Parallel()
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := database(t)
			db.Exec(t, plain)
			work, calls := bump, 0
			work.Check = func(ctx context.Context, q registry.Querier, _ registry.Migration) error {
				conn, ok := q.(*pgx.Conn)
				if calls++; ok && calls == 1 {
					return end(ctx, conn)
				}
				return nil
			}
			r := start(t, db, with(works(t, work), watch(never)))
			enqueue(t, db, "bump", "")
			exactlyOnce(t, db)
			r.stop()
			require.Equal(t, 2, calls)
		})
	}
}

// A Verify that cannot look is no range that is wrong, nor one that cannot be looked at.
func TestConnectionThatEndsDuringVerifyIsNoFailure(t *testing.T) {
	t.Parallel()
	db := database(t)
	db.Exec(t, plain)
	work, calls := bump, 0
	work.Verify = func(ctx context.Context, q registry.Querier, _ registry.Batch) (int64, error) {
		conn, ok := q.(*pgx.Conn)
		if calls++; ok && calls <= 3 {
			return 0, endings["in the Work's words"](ctx, conn)
		}
		return 0, nil
	}
	r := start(t, db, with(works(t, work), watch(never)))
	enqueue(t, db, "bump", "max_attempts => 1")
	exactlyOnce(t, db)
	r.stop()
	require.Equal(t, 4, calls)
}

// A Check that gives itself too little time would do so for ever.
func TestCheckThatGivesUpIsARefusal(t *testing.T) {
	t.Parallel()
	db := database(t)
	db.Exec(t, plain)
	work := bump
	work.Check = func(ctx context.Context, q registry.Querier, _ registry.Migration) error {
		ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		var slept string
		return q.QueryRow(ctx, "SELECT pg_sleep(600)::text").Scan(&slept)
	}
	start(t, db, with(works(t, work), watch(never)))
	enqueue(t, db, "bump", "")
	db.WaitFor(t, "SELECT status = 'failed' FROM bbm.progress")
	require.Regexp(t, "^bump cannot run: .*deadline exceeded", pgtest.One[string](t, db, "SELECT error_message FROM "+migrationsTable))
}
