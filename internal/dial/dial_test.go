package dial_test

import (
	"context"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/dial"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func database(link string) config.Database { return config.Database{URL: config.URL(link)} }

// setting returns what a session says of a setting.
func setting(t *testing.T, conn *pgx.Conn, name string) string {
	t.Helper()
	var value string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT setting FROM pg_settings WHERE name = $1", name).Scan(&value))
	return value
}

func connect(t *testing.T, d *dial.Dialer) *pgx.Conn {
	t.Helper()
	conn, err := d.Connect(t.Context(), "bbmd/test")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func TestSettings(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	conn := connect(t, dial.New(database(db.URL+"&lock_timeout=7s&pool_max_conns=3&application_name=theirs")))
	require.Equal(t, "15000", setting(t, conn, "statement_timeout"))
	require.Equal(t, "7000", setting(t, conn, "lock_timeout"), "what the connection string says stays")
	require.Equal(t, "5", setting(t, conn, "tcp_keepalives_interval"))
	require.Equal(t, "bbmd/test", setting(t, conn, "application_name"))
}

func TestConnectToAnotherDatabase(t *testing.T) {
	t.Parallel()
	here, there := pgtest.NewEmpty(t), pgtest.NewEmpty(t)
	d := dial.New(database(here.URL))
	for name, want := range map[string]string{"": here.Name, there.Name: there.Name} {
		conn, err := d.ConnectTo(t.Context(), "bbmd/test", name)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
		var got string
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT current_database()").Scan(&got))
		require.Equal(t, want, got)
	}
}

func TestTheURLFileIsReadAtEveryConnect(t *testing.T) {
	t.Parallel()
	first, second := pgtest.NewEmpty(t), pgtest.NewEmpty(t)
	file := filepath.Join(t.TempDir(), "url")
	require.NoError(t, os.WriteFile(file, []byte(first.URL), 0o600))
	d := dial.New(config.Database{URLFile: file})
	pool, err := d.Pool(t.Context(), "bbmd/test", 2)
	require.NoError(t, err)
	defer pool.Close()
	var name string
	const ask = "SELECT current_database()"
	require.NoError(t, pool.QueryRow(t.Context(), ask).Scan(&name))
	require.Equal(t, first.Name, name)

	require.NoError(t, os.WriteFile(file, []byte(second.URL), 0o600))
	require.NoError(t, connect(t, d).QueryRow(t.Context(), ask).Scan(&name))
	require.Equal(t, second.Name, name)
	pool.Reset()
	require.NoError(t, pool.QueryRow(t.Context(), ask).Scan(&name))
	require.Equal(t, second.Name, name)
	require.NoError(t, os.Remove(file))
	_, err = d.Connect(t.Context(), "bbmd/test")
	require.ErrorContains(t, err, "read url_file")
}

// TestAnEndedIdleSessionIsNotUsed shows that the pool notices without a ping.
func TestAnEndedIdleSessionIsNotUsed(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	pool, err := dial.New(database(db.URL)).Pool(t.Context(), db.Name, 1)
	require.NoError(t, err)
	defer pool.Close()
	for range 3 {
		_, err = pool.Exec(t.Context(), "SELECT 1")
		require.NoError(t, err)
		db.EndSessions(t, db.Name)
	}
	require.Equal(t, int64(3), pool.Stat().NewConnsCount())
}

func TestErrorsAreOneLineWithoutAPassword(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := listener.Addr().String()
	require.NoError(t, listener.Close())
	for _, link := range []string{
		"postgres://app:hunter2@" + closed + "," + closed + "/db",
		"postgres://app:hunter2@" + closed + "/db?sslmode=nonsense",
		"host=127.0.0.1 password=hunter2 port=none",
		"postgres://app:hun%ter2@h/db",
	} {
		_, err := dial.New(database(link)).Connect(t.Context(), "bbmd/test")
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hun")
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestAnAttemptWithoutTLSIsTheOneThatCounts(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	parsed, err := url.Parse(db.URL)
	require.NoError(t, err)
	parsed.Path, parsed.RawQuery = "/no_such_database", "sslmode=prefer"
	_, err = dial.New(database(parsed.String())).Connect(t.Context(), "bbmd/test")
	require.ErrorContains(t, err, `database "no_such_database" does not exist`)
	require.NotContains(t, err.Error(), "TLS")

	parsed.RawQuery = "sslmode=require"
	_, err = dial.New(database(parsed.String())).Connect(t.Context(), "bbmd/test")
	require.ErrorContains(t, err, "server refused TLS connection")
}

// refuser stands between a client and a server and refuses sessions by their
// startup parameters, as poolers and old servers do.
type refuser struct {
	url      string
	startups atomic.Int32
}

func newRefuser(t *testing.T, upstream string, refuse func(parameters map[string]string) *pgproto3.ErrorResponse) *refuser {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	parsed, err := url.Parse(upstream)
	require.NoError(t, err)
	server := parsed.Host
	parsed.Host = listener.Addr().String()
	r := &refuser{url: parsed.String()}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { r.serve(conn, server, refuse) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return r
}

func (r *refuser) serve(client net.Conn, server string, refuse func(map[string]string) *pgproto3.ErrorResponse) {
	defer client.Close() //nolint:errcheck // the client has what it came for
	message, err := pgproto3.NewBackend(client, client).ReceiveStartupMessage()
	if err != nil {
		return
	}
	startup, ok := message.(*pgproto3.StartupMessage)
	if !ok {
		return
	}
	r.startups.Add(1)
	if refusal := refuse(startup.Parameters); refusal != nil {
		answer, _ := refusal.Encode(nil)
		_, _ = client.Write(answer)
		return
	}
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer upstream.Close() //nolint:errcheck // as above
	opening, _ := startup.Encode(nil)
	_, _ = upstream.Write(opening)
	relay(client, upstream)
}

// relay copies both ways until one side ends.
func relay(a, b net.Conn) {
	var both sync.WaitGroup
	for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			buffer := make([]byte, 4096)
			for {
				n, err := pair[0].Read(buffer)
				if _, failed := pair[1].Write(buffer[:n]); err != nil || failed != nil {
					break
				}
			}
			_, _ = a.Close(), b.Close()
		})
	}
	both.Wait()
}

// pooler refuses as pgbouncer does.
func pooler(parameters map[string]string) *pgproto3.ErrorResponse {
	for name := range parameters {
		if !slices.Contains([]string{"user", "database", "application_name", "client_encoding", "DateStyle", "TimeZone"}, name) {
			return &pgproto3.ErrorResponse{Severity: "FATAL", Code: "08P01", Message: "unsupported startup parameter: " + name}
		}
	}
	return nil
}

// oldServer refuses what came with PostgreSQL 14.
func oldServer(parameters map[string]string) *pgproto3.ErrorResponse {
	for _, name := range []string{"idle_session_timeout", "client_connection_check_interval"} {
		if _, set := parameters[name]; set {
			return &pgproto3.ErrorResponse{Severity: "FATAL", Code: "42704", Message: `unrecognized configuration parameter "` + name + `"`}
		}
	}
	return nil
}

func TestSettingsThatAPoolerRefuses(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	r := newRefuser(t, db.URL, pooler)
	d := dial.New(database(r.url))
	conn := connect(t, d)
	require.Equal(t, "15000", setting(t, conn, "statement_timeout"), "it is set after the start")
	require.Equal(t, "bbmd/test", setting(t, conn, "application_name"))
	require.Equal(t, int32(2), r.startups.Load())
	connect(t, d)
	require.Equal(t, int32(3), r.startups.Load(), "it is remembered")
}

func TestSettingsThatAnOldServerDoesNotKnow(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	r := newRefuser(t, db.URL, oldServer)
	d := dial.New(database(r.url))
	conn := connect(t, d)
	require.Equal(t, "15000", setting(t, conn, "statement_timeout"))
	var interval string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT coalesce(current_setting('client_connection_check_interval', true), '0')").Scan(&interval))
	require.Equal(t, "0", interval, "it is left alone")
	connect(t, d)
	require.Equal(t, int32(4), r.startups.Load())
}

func TestAPoolFindsOutWhatIsRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	for _, refuse := range []func(map[string]string) *pgproto3.ErrorResponse{pooler, oldServer} {
		pool, err := dial.New(database(newRefuser(t, db.URL, refuse).url)).Pool(t.Context(), "bbmd/test", 1)
		require.NoError(t, err)
		defer pool.Close()
		_, err = pool.Exec(t.Context(), "SELECT 1")
		require.NoError(t, err)
	}
}

func TestAPoolLearnsWhatIsRefusedLater(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	var behindPooler atomic.Bool
	r := newRefuser(t, db.URL, func(parameters map[string]string) *pgproto3.ErrorResponse {
		if !behindPooler.Load() {
			return oldServer(parameters)
		}
		return pooler(parameters)
	})
	pool, err := dial.New(database(r.url)).Pool(t.Context(), "bbmd/test", 1)
	require.NoError(t, err)
	defer pool.Close()
	_, err = pool.Exec(t.Context(), "SELECT 1")
	require.NoError(t, err)
	behindPooler.Store(true)
	pool.Reset()
	_, err = pool.Exec(t.Context(), "SELECT 1")
	require.ErrorContains(t, err, "unsupported startup parameter")
	_, err = pool.Exec(t.Context(), "SELECT 1")
	require.NoError(t, err)
}

func TestARefusalThatIsNotOurs(t *testing.T) {
	t.Parallel()
	for code, message := range map[string]string{"08P01": "unsupported startup parameter: search_path", "28000": "no statement_timeout for you"} {
		r := newRefuser(t, pgtest.NewEmpty(t).URL, func(map[string]string) *pgproto3.ErrorResponse {
			return &pgproto3.ErrorResponse{Severity: "FATAL", Code: code, Message: message}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err := dial.New(database(r.url)).Connect(ctx, "bbmd/test")
		var refusal *pgconn.PgError
		require.ErrorAs(t, err, &refusal)
		require.True(t, strings.Contains(err.Error(), message))
	}
}
