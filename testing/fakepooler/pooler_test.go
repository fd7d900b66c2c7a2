package fakepooler_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/fakepooler"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// backends are the server processes that two transactions of a client run in, and that of another client's.
func backends(t *testing.T, mode fakepooler.Mode) (first, second, other int) {
	t.Helper()
	link := fakepooler.Start(t, pgtest.NewEmpty(t).URL, mode)
	one, two := connect(t, link), connect(t, link)
	for _, at := range []struct {
		conn *pgx.Conn
		into *int
	}{{one, &first}, {one, &second}, {two, &other}} {
		require.NoError(t, pgx.BeginFunc(t.Context(), at.conn, func(tx pgx.Tx) error {
			var again int
			if err := tx.QueryRow(t.Context(), "SELECT pg_backend_pid() WHERE $1", true).Scan(at.into); err != nil {
				return err
			}
			err := tx.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&again)
			require.Equal(t, *at.into, again, "within a transaction")
			return err
		}))
	}
	return first, second, other
}

func connect(t *testing.T, link string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(link)
	require.NoError(t, err)
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // prepared statements are gone in the next transaction
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func TestServerConnectionsTakeTurns(t *testing.T) {
	t.Parallel()
	first, second, other := backends(t, fakepooler.InTurn)
	require.NotEqual(t, first, second)
	require.NotEqual(t, second, other)
}

func TestTheSameServerConnectionAgain(t *testing.T) {
	t.Parallel()
	first, second, other := backends(t, fakepooler.LastUsed)
	require.Equal(t, first, second)
	require.Equal(t, first, other)
}

func TestAServerConnectionOfOnesOwn(t *testing.T) {
	t.Parallel()
	first, second, other := backends(t, fakepooler.Session)
	require.Equal(t, first, second)
	require.NotEqual(t, first, other)
}

func TestAClientThatGoesLeavesNothingOpen(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	link := fakepooler.Start(t, db.URL, fakepooler.LastUsed)
	conn := connect(t, link)
	_, err := conn.Exec(t.Context(), "BEGIN")
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "CREATE TABLE gone ()")
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	db.WaitFor(t, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction')")
	for range 3 {
		_, err = connect(t, link).Exec(t.Context(), "SELECT 1")
		require.NoError(t, err)
	}
	require.False(t, pgtest.One[bool](t, db, "SELECT to_regclass('gone') IS NOT NULL"))
}
