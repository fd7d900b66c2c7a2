package history_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/history"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// gooseSays lets goose itself read a file, without a server: whether it runs
// it in a transaction, or why it refuses it.
func gooseSays(t *testing.T, source string) (transactional bool, err error) {
	t.Helper()
	conn := &fakeConn{}
	db := sql.OpenDB(conn)
	defer func() { require.NoError(t, db.Close()) }()
	files := fstest.MapFS{"00001_x.sql": {Data: []byte(source)}}
	provider, err := goose.NewProvider(goose.DialectCustom, db, files, goose.WithStore(fakeStore{}),
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	require.NoError(t, err)
	_, err = provider.ApplyVersion(t.Context(), 1, true)
	return conn.begun, err
}

// fakeConn is a connection that does nothing, well.
type fakeConn struct{ begun bool }

func (c *fakeConn) Connect(context.Context) (driver.Conn, error) { return c, nil }
func (c *fakeConn) Driver() driver.Driver                        { return nil }
func (c *fakeConn) Prepare(string) (driver.Stmt, error)          { return nil, errors.New("not prepared") }
func (c *fakeConn) Close() error                                 { return nil }
func (c *fakeConn) Commit() error                                { return nil }
func (c *fakeConn) Rollback() error                              { return nil }

func (c *fakeConn) Begin() (driver.Tx, error) {
	c.begun = true
	return c, nil
}

func (c *fakeConn) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return driver.ResultNoRows, nil
}

// fakeStore is a version table in which version 0 was applied.
type fakeStore struct{ database.Store }

func (fakeStore) Tablename() string { return "versions" }

func (fakeStore) TableExists(context.Context, database.DBTxConn) (bool, error) { return true, nil }

func (fakeStore) Insert(context.Context, database.DBTxConn, database.InsertRequest) error { return nil }

func (fakeStore) GetMigration(context.Context, database.DBTxConn, int64) (*database.GetMigrationResult, error) {
	return nil, database.ErrVersionNotFound
}

// gooseOn is goose itself on a database.
func gooseOn(t *testing.T, db *pgtest.Database, files fs.FS, opts ...goose.ProviderOption) *goose.Provider {
	t.Helper()
	pool := stdlib.OpenDBFromPool(db.Pool(t))
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	opts = append(opts, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	provider, err := goose.NewProvider(goose.DialectPostgres, pool, files, opts...)
	require.NoError(t, err)
	return provider
}

// tableShape describes a table, with its keys.
func tableShape(t *testing.T, db *pgtest.Database, table string) []string {
	t.Helper()
	return pgtest.Column[string](t, db, `
		SELECT a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull || ' ' || a.attidentity::text || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '')
		FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped
		UNION ALL SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype <> 'n'
		UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname || '.' || tablename = $1::text ORDER BY 1`, table)
}

func TestStampLeavesWhatGooseLeaves(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{
		"00002_b.sql": "-- +goose Up\nCREATE TABLE b (id int);\n", "00010_c.sql": "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE TABLE c (id int);\n", "00001_a.sql": "-- +goose Up\nCREATE TABLE a (id int);\n",
	})
	migrated, stamped := pgtest.NewEmpty(t), pgtest.NewEmpty(t)
	files, err := history.Open(dir.path, history.Goose, history.Options{Go: []*goose.Migration{}})
	require.NoError(t, err)
	_, err = gooseOn(t, migrated, dir.fs).Up(t.Context())
	require.NoError(t, err)

	stamp(t, stamped, files, history.Place{}, files.Heads())

	const rows = "SELECT id || ' ' || version_id || ' ' || is_applied FROM goose_db_version ORDER BY id"
	require.Equal(t, []string{"1 0 true", "2 1 true", "3 2 true", "4 10 true"}, pgtest.Column[string](t, stamped, rows))
	require.Equal(t, pgtest.Column[string](t, migrated, rows), pgtest.Column[string](t, stamped, rows))
	require.Equal(t, tableShape(t, migrated, "public.goose_db_version"), tableShape(t, stamped, "public.goose_db_version"))
	pending, err := gooseOn(t, stamped, dir.fs).HasPending(t.Context())
	require.NoError(t, err)
	require.False(t, pending)

	dir.add(t, "00011_d.sql", "-- +goose Up\nCREATE TABLE d (id int);\n")
	results, err := gooseOn(t, stamped, dir.fs).Up(t.Context())
	require.NoError(t, err)
	require.Len(t, results, 1, "goose goes on from a stamp")
}

// TestStampMovesGoose goes back and forth, and leaves alone the rows that stay.
func TestStampMovesGoose(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"1_a.sql": "-- +goose Up\n", "2_b.sql": "-- +goose Up\n", "3_c.sql": "-- +goose Up\n"})
	files, err := history.Open(dir.path, history.Goose, history.Options{Go: []*goose.Migration{}})
	require.NoError(t, err)
	db := pgtest.NewEmpty(t)
	db.Exec(t, "CREATE SCHEMA app")
	at := history.Place{Schema: "app", Table: "App Versions"}
	versions := func() []string {
		return pgtest.Column[string](t, db, `SELECT version_id || '@' || xmin FROM app."App Versions" ORDER BY version_id`)
	}

	stamp(t, db, files, at, []string{"2"})
	before := versions()
	require.Len(t, before, 3)
	stamp(t, db, files, at, []string{"2"})
	require.Equal(t, before, versions(), "a second stamp changes nothing")
	stamp(t, db, files, at, []string{"3"})
	require.Equal(t, before, versions()[:3])
	db.Exec(t, `UPDATE app."App Versions" SET is_applied = false WHERE version_id = 1; INSERT INTO app."App Versions" (version_id, is_applied) VALUES (99, true)`)
	stamp(t, db, files, at, []string{"1"})
	require.Equal(t, []string{"0", "1"}, pgtest.Column[string](t, db, `SELECT version_id::text FROM app."App Versions" WHERE is_applied ORDER BY version_id`))
	stamp(t, db, files, at, nil)
	require.Equal(t, []string{"0"}, pgtest.Column[string](t, db, `SELECT version_id::text FROM app."App Versions"`))

	records, err := history.Find(t.Context(), db.Conn(t))
	require.NoError(t, err)
	require.Len(t, records, 1, "also found under this name")
	require.Equal(t, at, records[0].Place())
}

// gooseFiles are files that goose takes, or refuses; seeds of the fuzz test too.
func gooseFiles() []string {
	const up, down, begin, end = "-- +goose Up\n", "-- +goose Down\n", "-- +goose StatementBegin\n", "-- +goose StatementEnd\n"
	return []string{
		"", "\n\n", up, "-- a comment\n" + up, "SELECT 1;\n" + up, "\ufeff" + up, "\r\n" + up, strings.ReplaceAll(up+"SELECT 1;\n"+down+"SELECT 2;\n", "\n", "\r\n"),
		up + "SELECT 1;\n", up + "SELECT 1\n", up + "SELECT 1;", up + "SELECT 1; -- why\n", up + "SELECT 1 -- why;\n", up + "SELECT\n\n1\n;\n", up + "SELECT 1; SELECT 2\n",
		up + "SELECT 1;\n" + down + "SELECT 2;\n", up + "SELECT 1\n" + down + "SELECT 2;\n", up + "SELECT 1;\n" + down + "SELECT 2\n", down + "SELECT 1;\n", down + up, up + up, up + down + down, up + down + up,
		"-- +goose NO TRANSACTION\n" + up + "SELECT 1;\n", up + "-- +goose no transaction\nSELECT 1;\n", up + "SELECT 1;\n" + down + "-- +goose NO TRANSACTION\n", "-- +goose NO TRANSACTION\n",
		up + begin + "CREATE FUNCTION f() RETURNS int AS $$\nSELECT 1;\n$$ LANGUAGE sql;\n" + end, up + begin + "SELECT 1\n" + end + "SELECT 2;\n", up + begin + "SELECT 1\n", up + end, begin + up, up + begin + begin,
		up + begin + end, up + begin + end + "SELECT 1;\n", up + begin + end + "-- comment\n\n" + down, up + begin + "  \n" + end + "SELECT 1;\n", up + begin + end + down + begin + end, up + begin + end + end,
		up + down + begin + "SELECT 1\n" + end, up + down + begin + "SELECT 1\n", up + down + begin + end + begin + "SELECT 1\n" + end, up + "  \n" + down, up + "  \n-- comment\n" + down, up + "SELECT 1\n" + begin + "SELECT 2\n" + end,
		" -- +goose Up\n", "\t-- +goose Up\n", "--+goose Up\n", "-- +goose up\n", "-- +goose UP \n", "-- +goose\n", "-- +goose Sideways\n", "-- +goose Up +goose Down\n", up + "-- see +goose for more\n", up + "SELECT '-- +goose Down';\n", "-- + goose Up\n", "----+goose----Up\n",
		up + "/* comment */\n", up + "/* comment; */\nSELECT 1;\n", up + "$$ ;\n", up + "SELECT 1;\n  \n\t\n", up + ";\n", up + "--;\n", up + "SELECT 1;--\n", up + "SELECT 1 ; -- ;\n",
	}
}

func TestGooseSQLAgreesWithGoose(t *testing.T) {
	t.Parallel()
	for _, source := range gooseFiles() {
		agreesWithGoose(t, source)
	}
}

func FuzzGooseSQLAgreesWithGoose(f *testing.F) {
	for _, source := range gooseFiles() {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) { agreesWithGoose(t, source) })
}

func agreesWithGoose(t *testing.T, source string) {
	t.Helper()
	transactional, err := history.ParseGooseSQL("x.sql", source)
	if strings.Contains(strings.ToUpper(source), "ENVSUB") || err != nil && strings.Contains(err.Error(), "goose passes over this line") {
		return // what variables hold is not known before; and goose does not mind that it runs less than is written
	}
	theirs, theirErr := gooseSays(t, source)
	require.Equal(t, theirErr == nil, err == nil, "%q: goose says %v, and this package %v", source, theirErr, err)
	if err == nil {
		require.Equal(t, theirs, transactional, "%q", source)
	}
}
