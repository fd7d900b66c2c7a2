package pgserver_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// start starts a server that ends with the test.
func start(t *testing.T, options pgserver.Options) *pgserver.Server {
	t.Helper()
	server, err := pgserver.Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close(context.Background())) })
	return server
}

// ask returns the single value that a query on a new connection returns.
func ask(t *testing.T, url, query string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(t.Context()) //nolint:errcheck // the test is over with it
	var answer string
	require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&answer))
	return answer
}

func TestServerAnswersOnPortAndSocket(t *testing.T) {
	t.Parallel()
	server := start(t, pgserver.Options{})

	require.Equal(t, "logical", ask(t, server.URL("postgres"), "SHOW wal_level"))
	require.Equal(t, "off", ask(t, server.SocketURL("template1"), "SHOW fsync"))
}
