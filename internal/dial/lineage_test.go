package dial_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/dial"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/pgstandby"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// TestAnOldPrimaryIsRefused promotes a standby while the primary lives, as nobody
// should: whoever has met the new one goes back to the old one no more.
func TestAnOldPrimaryIsRefused(t *testing.T) {
	t.Parallel()
	old := pgtest.NewServer(t, pgserver.Options{})
	standby := pgstandby.New(t, old, "one", nil)
	d := dial.New(database(hosts(t, old.URL("postgres"), standby.URL("postgres"))))
	early := connect(t, d)
	require.Equal(t, old.Port(), port(t, early))

	standby.Promote(t)
	again := connect(t, d)
	require.Equal(t, old.Port(), port(t, again), "nothing tells of the other one yet")
	require.NoError(t, d.Admit(t.Context(), standby.Database("postgres").Conn(t).PgConn()))
	for _, conn := range []*pgx.Conn{early, again} {
		_, err := conn.Exec(t.Context(), "SELECT 1")
		require.Error(t, err, "the sessions on the old one end")
	}
	require.Equal(t, standby.Port(), port(t, connect(t, d)), "the old one is passed over")
	pool, err := d.Pool(t.Context(), "bbmd/test", 1)
	require.NoError(t, err)
	defer pool.Close()
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT").Scan())

	require.NoError(t, standby.Stop(t.Context()))
	_, err = d.Connect(t.Context(), "bbmd/test")
	require.ErrorIs(t, err, dial.ErrSuperseded)
	require.ErrorContains(t, err, "it is on timeline 1, and bbmd has worked on timeline 2")
}

// TestAnotherClusterIsAccepted moves a database to a server that has no past in common with the one before.
func TestAnotherClusterIsAccepted(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	d := dial.New(database(db.URL))
	connect(t, d)
	other := pgtest.NewServer(t, pgserver.Options{})
	require.NoError(t, d.Admit(t.Context(), (&pgtest.Database{URL: other.URL("postgres")}).Conn(t).PgConn()))
	connect(t, d)
}

// TestAServerThatDoesNotTellIsAccepted has a role that may not ask.
func TestAServerThatDoesNotTellIsAccepted(t *testing.T) {
	t.Parallel()
	srv := pgtest.NewServer(t, pgserver.Options{})
	db := &pgtest.Database{URL: srv.URL("postgres")}
	db.Exec(t, "CREATE ROLE app LOGIN PASSWORD 'app'; REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
	link, err := url.Parse(db.URL)
	require.NoError(t, err)
	link.User = url.UserPassword("app", "app")
	require.Equal(t, "app", connect(t, dial.New(database(link.String()))).Config().User)
}

// port is that of the server that a session is on.
func port(t *testing.T, conn *pgx.Conn) int {
	t.Helper()
	var port int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT inet_server_port()").Scan(&port))
	return port
}

// hosts is one string for several servers, of which one that takes writes is wanted.
func hosts(t *testing.T, first, second string) string {
	t.Helper()
	one, err := url.Parse(first)
	require.NoError(t, err)
	two, err := url.Parse(second)
	require.NoError(t, err)
	return strings.Replace(first, one.Host, one.Host+","+two.Host, 1) + "&target_session_attrs=read-write"
}
