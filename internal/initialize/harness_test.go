package initialize_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// patience bounds what a test waits for.
const patience = 2 * time.Minute

// subject is a database, and a spec of what it should be.
type subject struct {
	*pgtest.Database
	dir  string // where the migrations are
	spec initialize.Spec
	log  *logbook
}

// newSubject returns an empty database, whose migrations are written by [subject.write].
func newSubject(t *testing.T) *subject {
	t.Helper()
	return about(t, pgtest.NewEmpty(t))
}

func about(t *testing.T, db *pgtest.Database) *subject {
	t.Helper()
	s := &subject{Database: db, dir: t.TempDir(), log: &logbook{}}
	s.spec = initialize.Spec{
		Database: "test",
		Connect: func(ctx context.Context, application, database string) (*pgx.Conn, error) {
			return connect(ctx, db.URL, application, database)
		},
		URL:        func() (string, error) { return db.URL, nil },
		Migrations: s.dir,
		Limits:     initialize.Limits{LockTimeout: 200 * time.Millisecond, Retry: patience, Wait: patience, Drain: patience},
		Version:    "1.2.3",
		Logger:     slog.New(slog.NewTextHandler(io.MultiWriter(t.Output(), s.log), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	return s
}

func connect(ctx context.Context, url, application, database string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	cfg.RuntimeParams["application_name"] = application
	cfg.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		const sql = "SELECT set_config(name, '500', false) FROM pg_settings WHERE name = 'client_connection_check_interval'" // ms; PostgreSQL 14
		return conn.Exec(ctx, sql).Close()
	}
	if database != "" {
		cfg.Database = database
	}
	return pgx.ConnectConfig(ctx, cfg)
}

// write writes migrations, by the names of their files.
func (s *subject) write(t *testing.T, files map[string]string) {
	t.Helper()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600))
	}
}

// models writes the declared schema.
func (s *subject) models(t *testing.T, sql string) {
	t.Helper()
	s.spec.Models.Path = filepath.Join(t.TempDir(), "schema.sql")
	require.NoError(t, os.WriteFile(s.spec.Models.Path, []byte(sql), 0o600))
}

// up is a goose migration.
func up(sql string) string { return "-- +goose Up\n" + sql + "\n-- +goose Down\n" }

// upOutside is one outside a transaction.
func upOutside(sql string) string { return "-- +goose NO TRANSACTION\n" + up(sql) }

func (s *subject) inspect(t *testing.T) initialize.Finding {
	t.Helper()
	f, err := initialize.Inspect(t.Context(), s.spec)
	require.NoError(t, err)
	return f
}

func (s *subject) apply(t *testing.T) initialize.Result {
	t.Helper()
	result, err := initialize.Apply(t.Context(), s.spec)
	require.NoError(t, err)
	return result
}

// runs of the database, the latest first.
func (s *subject) runs(t *testing.T) []control.Run {
	t.Helper()
	runs, err := control.Store{}.Runs(t.Context(), s.Conn(t), 100)
	require.NoError(t, err)
	return runs
}

// tables of the user's, and version tables.
func (s *subject) tables(t *testing.T) []string {
	t.Helper()
	return pgtest.Column[string](t, s.Database, "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
}

// versions in goose's table.
func (s *subject) versions(t *testing.T) []int64 {
	t.Helper()
	return pgtest.Column[int64](t, s.Database, "SELECT version_id FROM goose_db_version WHERE version_id > 0 ORDER BY id")
}

// everything is the state of the whole database, to show that nothing was changed.
func (s *subject) everything(t *testing.T) []string {
	t.Helper()
	return pgtest.Column[string](t, s.Database, `SELECT c.oid::text || ' ' || c.relname || ' ' || c.xmin::text || ' ' || coalesce(pg_relation_size(c.oid), 0)::text
		FROM pg_class c WHERE c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) ORDER BY 1`)
}

// logbook keeps what was logged.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// refused asserts that err is a refusal, and returns it.
func refused(t *testing.T, err error, refusal initialize.Refusal) initialize.RefusalError {
	t.Helper()
	var refusalErr *initialize.RefusalError
	require.ErrorAs(t, err, &refusalErr)
	require.Equal(t, refusal, refusalErr.Refusal, err.Error())
	require.Equal(t, initialize.KindRefused, initialize.KindOf(err))
	return *refusalErr
}

// role makes a role of the test's, as which the spec connects from now on.
func (s *subject) role(t *testing.T, attributes string) string {
	t.Helper()
	name := "role_" + s.Name
	s.Superuser(t).Exec(t, "CREATE ROLE "+name+" PASSWORD 'hush-hush' "+attributes)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		conn, err := connect(ctx, s.Superuser(t).URL, "cleanup", "")
		require.NoError(t, err)
		_, err = conn.Exec(ctx, "DROP OWNED BY "+name+"; DROP ROLE "+name)
		require.NoError(t, err)
		require.NoError(t, conn.Close(ctx))
	})
	parsed, err := url.Parse(s.URL)
	require.NoError(t, err)
	parsed.User = url.UserPassword(name, "hush-hush")
	s.spec.URL = func() (string, error) { return parsed.String(), nil }
	s.spec.Connect = func(ctx context.Context, application, database string) (*pgx.Conn, error) {
		return connect(ctx, parsed.String(), application, database)
	}
	return name
}
