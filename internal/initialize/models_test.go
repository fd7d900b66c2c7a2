package initialize_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// modelsIn returns a spec whose models are files in a directory.
func modelsIn(t *testing.T, files map[string]string) initialize.Spec {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return initialize.Spec{Database: "test", Models: initialize.Models{Path: dir}}
}

// printed returns a spec whose models are printed by a program.
func printed(t *testing.T, sql, complaint string) initialize.Spec {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return initialize.Spec{
		Database: "test", Models: initialize.Models{Command: []string{self}},
		Environment: []string{fakeVariable + "=print", "PRINT=" + sql, "COMPLAIN=" + complaint},
	}
}

func read(t *testing.T, s initialize.Spec) *initialize.DeclaredModels {
	t.Helper()
	m, err := initialize.ReadModels(t.Context(), s, t.Output())
	require.NoError(t, err)
	return m
}

func TestModelsAreApplied(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]initialize.Spec{
		"from a directory": modelsIn(t, map[string]string{
			"2.sql": "CREATE TABLE b (a int REFERENCES a);", "1.sql": "CREATE TABLE a (id int PRIMARY KEY)", "10.txt": "no SQL", ".hidden.sql": "no SQL",
		}),
		"from a command": printed(t, "CREATE TABLE a (id int PRIMARY KEY);\nCREATE TABLE b (a int REFERENCES a);", ""),
		"from a file that begins and commits": modelsIn(t, map[string]string{
			"1.sql": "BEGIN;\nCREATE TABLE a (id int PRIMARY KEY);\nCREATE TABLE b (a int REFERENCES a);\nCOMMIT;\n",
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.NewEmpty(t)
			conn := db.Conn(t)
			m := read(t, spec)
			require.NoError(t, pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error { return m.Apply(t.Context(), tx) }))
			require.Equal(t, []string{"a", "b"}, pgtest.Column[string](t, db, "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"))
		})
	}
}

// TestModelsAreWhatPgDumpPrints applies what pg_dump printed, keys of psql's and rows included.
func TestModelsAreWhatPgDumpPrints(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	conn := db.Conn(t)
	m := read(t, initialize.Spec{Database: "test", Models: initialize.Models{Path: dumpFor(t, db)}})
	_, err := conn.Exec(t.Context(), "SET statement_timeout = '77s'; SET search_path = public, pg_temp")
	require.NoError(t, err)
	err = pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "SET LOCAL lock_timeout = '7s'"); err != nil {
			return err
		}
		if err := m.Apply(t.Context(), tx); err != nil {
			return err
		}
		for setting, want := range map[string]string{"search_path": "public, pg_temp", "lock_timeout": "7s", "statement_timeout": "77s", "row_security": "on", "check_function_bodies": "on"} {
			var is string
			if err := tx.QueryRow(t.Context(), "SELECT current_setting($1)", setting).Scan(&is); err != nil {
				return err
			}
			require.Equal(t, want, is, setting)
		}
		_, err := tx.Exec(t.Context(), "CREATE TABLE version (number int)") // as a stamp does
		return err
	})
	require.NoError(t, err)
	require.Equal(t, []string{"one|back\\slash|", "two;|tab\there|x"},
		pgtest.Column[string](t, db, "SELECT concat_ws('|', name, note, coalesce(more, '')) FROM shop.item ORDER BY id"))
	require.Equal(t, 7, pgtest.One[int](t, db, "SELECT shop.more_of(3, 4)"))
	require.Equal(t, int64(3), pgtest.One[int64](t, db, "SELECT nextval('shop.item_id_seq')"))
	require.Equal(t, "public", pgtest.One[string](t, db, "SELECT schemaname::text FROM pg_tables WHERE tablename = 'version'"))
}

// dumpFor returns a file that pg_dump has made. Functions whose body is SQL and no text are new in PostgreSQL 14.
func dumpFor(t *testing.T, db *pgtest.Database) string {
	t.Helper()
	const dump, since = "testdata/pg_dump.sql", 14
	if db.Major(t) >= since {
		return dump
	}
	text, err := os.ReadFile(dump)
	require.NoError(t, err)
	before, function, found := strings.Cut(string(text), "CREATE FUNCTION shop.sum_of(")
	require.True(t, found)
	_, after, found := strings.Cut(function, "\nEND;\n")
	require.True(t, found)
	file := filepath.Join(t.TempDir(), "dump.sql")
	require.NoError(t, os.WriteFile(file, []byte(before+after), 0o600))
	return file
}

func TestModelsThatSetARoleGiveItBack(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	m := read(t, modelsIn(t, map[string]string{"1.sql": "CREATE TABLE a (id int); SET ROLE " + pgtest.Nobody + "; SELECT 1;", "2.sql": "CREATE TABLE b (id int)"}))
	conn := db.Conn(t)
	require.NoError(t, pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error { return m.Apply(t.Context(), tx) }))
	require.Equal(t, int64(2), pgtest.One[int64](t, db, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"))
}

func TestModelsThatFailSayWhere(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	spec := modelsIn(t, map[string]string{"1.sql": "CREATE TABLE a (\n  id int,\n  n nothing\n);\n", "0.sql": "CREATE TABLE z (id int);"})
	m := read(t, spec)
	err := pgx.BeginFunc(t.Context(), db.Conn(t), func(tx pgx.Tx) error { return m.Apply(t.Context(), tx) })
	step := failedStep(t, err)
	require.Equal(t, filepath.Join(spec.Models.Path, "1.sql"), step.File)
	require.Equal(t, 3, step.Line)
	require.Empty(t, step.Version)
	var pg *pgconn.PgError
	require.ErrorAs(t, err, &pg)
	require.Equal(t, "42704", pg.Code)
	require.Zero(t, pgtest.One[int64](t, db, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"))

	m = read(t, modelsIn(t, map[string]string{"1.sql": "CREATE TABLE a (id int);\nCOPY a FROM stdin;\n1\nnone\n\\.\n"}))
	err = pgx.BeginFunc(t.Context(), db.Conn(t), func(tx pgx.Tx) error { return m.Apply(t.Context(), tx) })
	require.Equal(t, 2, failedStep(t, err).Line)
	require.ErrorContains(t, err, `invalid input syntax for type integer: "none"`)
}

func TestModelsThatCannotBeReadSayWhy(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spec initialize.Spec
		text string
	}{
		"no file":                  {initialize.Spec{Database: "test", Models: initialize.Models{Path: "testdata/nothing.sql"}}, "nothing.sql: no such file"},
		"an empty directory":       {modelsIn(t, nil), "has no .sql file"},
		"no statement":             {modelsIn(t, map[string]string{"a.sql": "-- nothing yet\n"}), "there is no statement in it"},
		"UTF-16":                   {modelsIn(t, map[string]string{"a.sql": "\xff\xfeS\x00"}), "save it as UTF-8"},
		"a dump of pg_dump's own":  {modelsIn(t, map[string]string{"a.sql": "PGDMP\x01"}), "--format=plain"},
		"Latin 1":                  {modelsIn(t, map[string]string{"a.sql": "SELECT '\xe4'"}), "UTF-8"},
		"a command that fails":     {printed(t, "CREATE TABLE a (id int);", "ImportError: no module named app"), "exit status 3: ImportError: no module named app"},
		"a command that is silent": {printed(t, " ", ""), "it printed nothing"},
		"no command":               {initialize.Spec{Database: "test", Models: initialize.Models{Command: []string{"/nothing/of/the/kind"}}}, "no such file"},
		"a statement that has to be alone": {
			modelsIn(t, map[string]string{"a.sql": "CREATE TABLE a (id int);\n\nCREATE INDEX CONCURRENTLY i ON a (id);\nVACUUM;\n\\connect other\n"}),
			"a.sql:3: this builds, drops or detaches CONCURRENTLY",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := initialize.ReadModels(t.Context(), test.spec, t.Output())
			require.ErrorContains(t, err, test.text)
			require.Equal(t, initialize.KindConfig, initialize.KindOf(err))
		})
	}
}

func TestModelsSayAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := initialize.ReadModels(t.Context(), modelsIn(t, map[string]string{"a.sql": "VACUUM;\n\\i b.sql\n", "b.sql": "COMMIT;\nSELECT 1;\n"}), t.Output())
	for _, text := range []string{"a.sql:1: this is VACUUM", `a.sql:2: \i is psql's, and reads another file`, "b.sql:1: COMMIT begins or ends a transaction"} {
		require.ErrorContains(t, err, text)
	}
}

func TestModelsCommandsSecretsAreNotPassedOn(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	_, err := initialize.ReadModels(t.Context(), printed(t, "", "cannot connect to postgres://app:hunter2@db/app"), &said)
	require.ErrorContains(t, err, "postgres://app:***@db/app")
	require.Equal(t, "cannot connect to postgres://app:***@db/app\n", said.String())
}

func TestModelsChecksum(t *testing.T) {
	t.Parallel()
	sum := func(files map[string]string) string { return read(t, modelsIn(t, files)).Checksum() }
	one := sum(map[string]string{"a.sql": "SELECT 1;\n"})
	require.Len(t, one, 64)
	require.Equal(t, "b4e0497804e46e0a0b0b8c31975b062152d551bac49c3c2e80932567b4085dcd", sum(map[string]string{"a.sql": "SELECT 1;\n"}), "that of the file")
	require.NotEqual(t, one, sum(map[string]string{"a.sql": "SELECT 2;\n"}))
	require.Equal(t, one, sum(map[string]string{"a.sql": "\\restrict abc\nSELECT 1;\n\\unrestrict abc\n"}), "pg_dump's keys are others each time")
	require.Len(t, read(t, modelsIn(t, map[string]string{"a.sql": "SELECT 1", "b.sql": "SELECT 1"})).Names(), 2)
	require.True(t, strings.HasSuffix(read(t, modelsIn(t, map[string]string{"a.sql": "SELECT 1"})).Names()[0], "a.sql"))
}
