package pgtest_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestNewHasTheControlSchema(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)

	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.batched_background_migrations"))
	require.Equal(t, db.Name, pgtest.One[string](t, db, "SELECT current_database()::text"))
}

func TestNewEmptyHasNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)

	require.Empty(t, pgtest.Column[string](t, db, "SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$|^public$'"))
}

func TestHelpersReadAndWrite(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	db.Exec(t, "CREATE TABLE fruit (id int, name text); INSERT INTO fruit VALUES (1, 'apple')")
	db.Exec(t, "INSERT INTO fruit VALUES ($1, $2)", 2, "pear")

	require.Equal(t, []string{"apple", "pear"}, pgtest.Column[string](t, db, "SELECT name FROM fruit ORDER BY id"))
	type fruit struct {
		ID   int
		Name string
	}
	require.Equal(t, []fruit{{2, "pear"}}, pgtest.Rows[fruit](t, db, "SELECT id, name FROM fruit WHERE id = $1", 2))

	_, err := db.Conn(t).Exec(t.Context(), "DELETE FROM fruit WHERE id = 1")
	require.NoError(t, err)
	_, err = db.Pool(t).Exec(t.Context(), "DELETE FROM fruit WHERE id = 2")
	require.NoError(t, err)
	db.WaitFor(t, "SELECT count(*) = 0 FROM fruit")
}

func TestParallelClonesInstallTheirTemplateOnce(t *testing.T) {
	t.Parallel()
	const tests = 12
	var installed atomic.Int32
	template := pgtest.Template{
		Hash: "parallel clones " + t.Name(),
		Install: func(ctx context.Context, conn *pgx.Conn) error {
			installed.Add(1)
			_, err := conn.Exec(ctx, "CREATE TABLE shared (n int); INSERT INTO shared VALUES (0)")
			return err
		},
	}
	server := pgtest.NewServer(t, pgserver.Options{})

	t.Run("group", func(t *testing.T) {
		t.Parallel()
		for number := range tests {
			t.Run(strconv.Itoa(number), func(t *testing.T) {
				t.Parallel()
				db := server.From(t, template)
				db.Exec(t, "UPDATE shared SET n = $1", number)
				require.Equal(t, number, pgtest.One[int](t, db, "SELECT n FROM shared"))
			})
		}
	})
	t.Cleanup(func() { require.Equal(t, int32(1), installed.Load()) })
}

func TestTemplateThatFailedIsInstalledAgain(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t, pgserver.Options{})
	fails := pgtest.Template{Hash: "again", Install: func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "CREATE TABLE half (n int)")
		return errors.Join(err, errors.New("no more"))
	}}

	failing := &recorder{TB: t}
	failing.run(func() { server.From(failing, fails) })
	require.Contains(t, failing.fatal, "no more")

	works := pgtest.Template{Hash: "again", Install: func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "CREATE TABLE whole (n int)")
		return err
	}}
	require.Equal(t, []string{"whole"}, pgtest.Column[string](t, server.From(t, works), "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'"))
}

func TestCleanupTakesWhatATestLeaves(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t, pgserver.Options{})
	maintenance, err := pgx.Connect(t.Context(), server.URL("postgres"))
	require.NoError(t, err)
	defer maintenance.Close(t.Context()) //nolint:errcheck // the server ends with the test
	var name string

	t.Run("untidy", func(t *testing.T) {
		db := server.NewEmpty(t).Superuser(t)
		name = db.Name
		db.Exec(t, "CREATE TABLE t (n int); CREATE PUBLICATION p FOR TABLE t")
		db.Exec(t, "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", name+"_idle")
		stream(t, db)
		forgotten, err := pgx.Connect(context.WithoutCancel(t.Context()), db.URL)
		require.NoError(t, err)
		_, err = forgotten.Exec(t.Context(), "BEGIN; INSERT INTO t VALUES (1)")
		require.NoError(t, err)
		db.Exec(t, "BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION '"+name+"'")
	})

	for _, left := range []string{
		"SELECT count(*) FROM pg_database WHERE datname = $1",
		"SELECT count(*) FROM pg_replication_slots WHERE database = $1",
		"SELECT count(*) FROM pg_prepared_xacts WHERE database = $1",
		"SELECT count(*) FROM pg_stat_activity WHERE datname = $1",
	} {
		var count int
		require.NoError(t, maintenance.QueryRow(t.Context(), left, name).Scan(&count))
		require.Zero(t, count, left)
	}
}

// stream starts replication on a slot that stays when the session ends, and
// forgets about it.
func stream(t *testing.T, db *pgtest.Database) {
	t.Helper()
	config, err := pgconn.ParseConfig(db.URL)
	require.NoError(t, err)
	config.RuntimeParams["replication"] = "database"
	conn, err := pgconn.ConnectConfig(context.WithoutCancel(t.Context()), config)
	require.NoError(t, err)
	slot := db.Name + "_live"
	_, err = conn.Exec(t.Context(), fmt.Sprintf("CREATE_REPLICATION_SLOT %s LOGICAL pgoutput", slot)).ReadAll()
	require.NoError(t, err)
	conn.Frontend().SendQuery(&pgproto3.Query{String: fmt.Sprintf("START_REPLICATION SLOT %s LOGICAL 0/0 (proto_version '1', publication_names 'p')", slot)})
	require.NoError(t, conn.Frontend().Flush())
	db.WaitFor(t, "SELECT active FROM pg_replication_slots WHERE slot_name = $1", slot)
}

func TestServerOfATestRestarts(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t, pgserver.Options{Settings: map[string]string{"log_statement": "all"}})
	db := server.New(t)
	db.Exec(t, "CREATE TABLE kept ()")

	require.NoError(t, server.Kill())
	require.NoError(t, server.Restart(t.Context()))

	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM kept"))
	require.Contains(t, server.LogTail(100), "CREATE TABLE kept ()")
}

func TestNamesFitIntoOtherNames(t *testing.T) {
	t.Parallel()
	t.Run("Ünusual/"+strings.Repeat("long, ", 30), func(t *testing.T) {
		t.Parallel()
		db := pgtest.NewEmpty(t)
		require.Regexp(t, `^[a-z0-9_]{1,50}$`, db.Name)
	})
}

func TestFailuresNameTheStatement(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	for name, use := range map[string]func(tb testing.TB, sql string){
		"Exec":    func(tb testing.TB, sql string) { tb.Helper(); db.Exec(tb, sql) },
		"One":     func(tb testing.TB, sql string) { tb.Helper(); pgtest.One[int](tb, db, sql) },
		"Column":  func(tb testing.TB, sql string) { tb.Helper(); pgtest.Column[int](tb, db, sql) },
		"WaitFor": func(tb testing.TB, sql string) { tb.Helper(); db.WaitFor(tb, sql) },
	} {
		failing := &recorder{TB: t}
		failing.run(func() { use(failing, "SELECT nonsense") })
		require.Contains(t, failing.fatal, "SELECT nonsense", name)
		require.Contains(t, failing.fatal, "42703", name)
	}
}

// recorder is a test that may fail.
type recorder struct {
	testing.TB
	fatal string
}

type stopped struct{}

func (r *recorder) Fatal(args ...any) { r.fatal = fmt.Sprint(args...); panic(stopped{}) }

func (r *recorder) Fatalf(format string, args ...any) { r.Fatal(fmt.Sprintf(format, args...)) }

func (r *recorder) run(body func()) {
	defer func() {
		if end := recover(); end != nil && end != (stopped{}) {
			panic(end)
		}
	}()
	body()
}
