package pgtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// EnvServer names a running server to use, by the URL of its database
// postgres, logged in as a superuser.
const EnvServer = "BBMD_TEST_SERVER"

// deadline bounds everything that pgtest does itself, cleaning up included.
const deadline = 2 * time.Minute

// Server is a private server of one test, which may stop, kill and restart it
// by the methods of [pgserver.Server].
type Server struct {
	*pgserver.Server
}

// NewServer starts a server that ends with the test. When the test has failed
// the end of the server's log is in the test's.
func NewServer(tb testing.TB, options pgserver.Options) *Server {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), deadline)
	defer cancel()
	server, err := pgserver.Start(ctx, options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("the log of the test's server ends:\n%s", server.LogTail(60))
		}
		if err := closeServer(tb.Context(), server); err != nil {
			tb.Error(err)
		}
	})
	return &Server{Server: server}
}

// New is [New] on this server.
func (s *Server) New(tb testing.TB) *Database {
	tb.Helper()
	return clone(tb, s.URL("postgres"), controlTemplate())
}

// NewEmpty is [NewEmpty] on this server.
func (s *Server) NewEmpty(tb testing.TB) *Database {
	tb.Helper()
	return clone(tb, s.URL("postgres"), emptyTemplate())
}

// From is [From] on this server.
func (s *Server) From(tb testing.TB, template Template) *Database {
	tb.Helper()
	return clone(tb, s.URL("postgres"), template)
}

// Main runs a package's tests, ends the server they shared, and fails when
// goroutines are left over. It is to be all of a TestMain.
func Main(m *testing.M, options ...goleak.Option) {
	os.Exit(Run(m, options...)) //nolint:forbidigo // it stands for main
}

// Run is [Main] for a TestMain that has something to say in the end. It returns the exit code.
func Run(m *testing.M, options ...goleak.Option) int {
	code := m.Run()
	err := closeShared()
	if code == 0 {
		err = errors.Join(err, goleak.Find(options...))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}

// shared is the server that all tests of this process use. It starts with the
// first test that asks for it, and ends in Main, or else with the process, by
// the server's guard.
//
//nolint:gochecknoglobals // one server per process is the point
var shared struct {
	mu     sync.Mutex
	server *pgserver.Server
}

// sharedURL returns the maintenance database of the shared server.
func sharedURL(tb testing.TB) string {
	tb.Helper()
	if given := os.Getenv(EnvServer); given != "" {
		return given
	}
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server == nil {
		ctx, cancel := context.WithTimeout(tb.Context(), deadline)
		defer cancel()
		server, err := pgserver.Start(ctx, SharedOptions())
		if err != nil {
			tb.Fatal(err)
		}
		shared.server = server
	}
	return shared.server.URL("postgres")
}

// SharedOptions are the options of a server that many tests share.
func SharedOptions() pgserver.Options {
	return pgserver.Options{Settings: map[string]string{
		"max_connections":       "500",
		"max_wal_senders":       "100",
		"max_replication_slots": "100",
		"autovacuum_naptime":    "10s",
	}}
}

// closeShared ends the shared server, if any test asked for it.
func closeShared() error {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server == nil {
		return nil
	}
	return closeServer(context.Background(), shared.server)
}

func closeServer(ctx context.Context, server *pgserver.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deadline)
	defer cancel()
	return server.Close(ctx)
}

// withDatabase returns a server's URL with another database in it.
func withDatabase(serverURL, database string) (string, error) {
	parsed, err := url.Parse(serverURL)
	if err != nil {
		return "", fmt.Errorf("%s is not a URL", EnvServer) // the parser's error would show the password
	}
	parsed.Path = "/" + database
	return parsed.String(), nil
}

// connect opens a connection that shows in pg_stat_activity as pgtest's.
func connect(ctx context.Context, address string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["application_name"] = cmp.Or(config.RuntimeParams["application_name"], "pgtest")
	return pgx.ConnectConfig(ctx, config)
}
