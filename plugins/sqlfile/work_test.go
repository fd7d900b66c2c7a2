package sqlfile_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/plugins"
	"github.com/bbmd-dev/bbmd/plugins/sqlfile"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/migtest"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func parse(t *testing.T, text string) *sqlfile.File {
	t.Helper()
	file, err := sqlfile.Parse([]byte(text))
	require.NoError(t, err)
	return file
}

const usersTable = `
	CREATE TABLE users (id bigint PRIMARY KEY, email text, email_norm text);
	INSERT INTO users SELECT i, CASE WHEN i % 7 > 0 THEN ' User' || i || '@' || CASE i % 3 WHEN 0 THEN 'example.com' ELSE 'a.org ' END END FROM generate_series(1, 30) i`

func TestOneStatement(t *testing.T) {
	t.Parallel()
	migtest.Run(t, migtest.Case{
		Work: parse(t, example(t)).Work(), Table: "users", Setup: usersTable,
		Refused: []string{`{"except": 1}`, `{"domain": "a.org"}`},
		Want: migtest.All(
			migtest.NoRows("SELECT id FROM users WHERE email NOT LIKE '%@example.com' AND email_norm IS DISTINCT FROM lower(btrim(email))"),
			migtest.NoRows("SELECT id FROM users WHERE email LIKE '%@example.com' AND email_norm IS NOT NULL")),
	})
}

func TestSeveralStatements(t *testing.T) {
	t.Parallel()
	file := parse(t, `-- bbmd: work archive_users
-- bbmd: table users
-- bbmd: param suffix text
-- bbmd: section run
INSERT INTO archive (id, email) SELECT id, email || :suffix FROM users WHERE id BETWEEN :start AND :end
ON CONFLICT (id) DO UPDATE SET email = excluded.email;
UPDATE users u SET email_norm = a.email FROM archive a WHERE a.id = u.id AND :range(u);
-- bbmd: section verify
SELECT count(*) FROM users WHERE id BETWEEN :start AND :end AND email_norm IS DISTINCT FROM email || :suffix -- all
`)
	migtest.Run(t, migtest.Case{
		Work: file.Work(), Table: "users", Arguments: `{"suffix": "'\\x; DROP TABLE users; --"}`,
		Refused: []string{`{}`},
		Setup:   usersTable + "; CREATE TABLE archive (id bigint PRIMARY KEY, email text)",
		Want:    migtest.NoRows(`SELECT id FROM users WHERE email_norm IS DISTINCT FROM email || '''\x; DROP TABLE users; --'`),
	})
}

func TestConstantsAreValues(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	for _, conforming := range []string{"on", "off"} {
		conn := db.Conn(t)
		_, err := conn.Exec(t.Context(), "SET standard_conforming_strings = "+conforming+"; SET escape_string_warning = off")
		require.NoError(t, err)
		for _, value := range []string{"", "'", `\`, `\'`, `'\`, `\\''`, "$$", "é\n", "--", "/*", `E'\x41'`, ":range", "%", `\u0041`} {
			raw, err := json.Marshal(value)
			require.NoError(t, err)
			constant, err := sqlfile.Constant("text", string(raw))
			require.NoError(t, err)
			var got string
			require.NoError(t, conn.QueryRow(t.Context(), "SELECT "+constant, pgx.QueryExecModeDescribeExec).Scan(&got))
			require.Equal(t, value, got)
		}
	}
	for typeName, values := range map[string]map[string]string{
		"boolean": {"true": "true"}, "smallint": {"-32768": "-32768"}, "bigint": {"9223372036854775807": "9223372036854775807"},
		"numeric": {"12345678901234567890.10": "12345678901234567890.10"}, "double": {"1e21": "1e+21", "-0.5": "-0.5"},
		"date": {`"2026-01-31"`: "2026-01-31"}, "timestamp": {`"2026-01-31T12:00:00.5"`: "2026-01-31 12:00:00.5"},
		"timestamptz": {`"2026-01-31T12:00:00+02:00"`: "2026-01-31 10:00:00+00"}, "interval": {`"3 days"`: "3 days"},
		"uuid":  {`"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"`: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
		"jsonb": {`{"a" : "it's"}`: `{"a": "it's"}`}, "text[]": {`["a,b", "'\\"]`: `{"a,b","'\\"}`, `[]`: "{}"}, "bigint[]": {`[1, 2]`: "{1,2}"},
	} {
		for value, want := range values {
			constant, err := sqlfile.Constant(typeName, value)
			require.NoError(t, err, value)
			conn := db.Conn(t)
			_, err = conn.Exec(t.Context(), "SET timezone = 'UTC'")
			require.NoError(t, err)
			require.Equal(t, want, one(t, conn, "SELECT "+constant+"::text"), value)
		}
	}
}

func one(t *testing.T, conn *pgx.Conn, text string) (got string) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), text).Scan(&got))
	return got
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	db.Exec(t, usersTable+"; CREATE TABLE others (id bigint PRIMARY KEY, n int); CREATE VIEW seen AS SELECT * FROM users")
	conn := db.Conn(t)
	for name, test := range map[string]struct{ body, want string }{
		"fine":          {"UPDATE users SET email_norm = :p WHERE :range;", ""},
		"column":        {"SELECT 1 FROM users WHERE :range;\n\nUPDATE users SET emial = 'a' WHERE :range;", `statement of line 7: ERROR: column "emial"`},
		"key":           {"UPDATE users SET id = 1 WHERE :range;", `statement of line 5: column "id" belongs to the key`},
		"type":          {"UPDATE users SET email_norm = 1 + :p WHERE :range;", "statement of line 5: ERROR: operator does not exist: integer + text (SQLSTATE 42883): No operator"},
		"verification":  {"UPDATE users SET email_norm = 'a' WHERE :range;\n-- bbmd: section verify\nSELECT email FROM users WHERE :range", "verification of line 7: ERROR: operator does not exist: text + integer"},
		"verify writes": {"UPDATE users SET email_norm = 'a' WHERE :range;\n-- bbmd: section verify\nWITH x AS (UPDATE users SET id = 1 WHERE :range RETURNING 1) SELECT count(*) FROM x", "WITH clause containing a data-modifying statement must be at the top level"},
	} {
		file := parse(t, "-- bbmd: work a\n-- bbmd: table users\n-- bbmd: param p text = \"x\"\n-- bbmd: section run\n"+test.body)
		m := registry.Migration{Name: "m", Table: `"public"."users"`, Key: registry.Key{{Name: "id", Type: "bigint"}}, Arguments: json.RawMessage("{}")}
		err := file.Work().Check(t.Context(), conn, m)
		if test.want == "" {
			require.NoError(t, err, name)
			m.Table = `"public"."others"`
			require.ErrorContains(t, file.Work().Check(t.Context(), conn, m), `the file is about the table users, and the migration about "public"."others"`)
			require.NoError(t, file.Prepare(t.Context(), conn))
			continue
		}
		require.ErrorContains(t, err, test.want, name)
		if name != "key" {
			require.ErrorContains(t, file.Prepare(t.Context(), conn), test.want, name)
		}
	}
	file := parse(t, "-- bbmd: work a\n-- bbmd: table public.gone\n-- bbmd: section run\nDELETE FROM public.gone WHERE :range")
	require.ErrorIs(t, file.Prepare(t.Context(), conn), sqlfile.ErrNoTable)
	require.ErrorContains(t, file.Work().Check(t.Context(), conn, registry.Migration{Table: "users"}), "table public.gone of the file's header does not exist")
	require.Equal(t, "0", one(t, conn, "SELECT count(email_norm)::text FROM users"), "nothing was written")
	require.Equal(t, byte('I'), conn.PgConn().TxStatus())
}

func TestSource(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	require.NoError(t, os.Chmod(path, 0o755))
	file := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(path, name), []byte(content), 0o600))
	}
	file("normalize_email.sql", example(t))
	file("other_name.sql", strings.Replace(example(t), "work normalize_email", "work another", 1))
	file("bad.sql", "-- bbmd: wrk a\n")
	file("binary.sql", "\xff")
	file("large.sql", strings.Repeat("-", sqlfile.MaxSize+1))
	file("README.md", "not a plugin")
	require.NoError(t, os.Mkdir(filepath.Join(path, "dir.sql"), 0o755))
	dir, err := plugins.OpenDir(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, dir.Close()) }()

	found, err := sqlfile.Source{}.Scan(t.Context(), dir)
	require.NoError(t, err)
	got := map[string]string{}
	for _, c := range found {
		got[c.Name] = ""
		if c.Err != nil {
			got[c.Name] = c.Err.Error()
		}
		require.Equal(t, plugins.KindSQL, sqlfile.Source{}.Kind())
	}
	at := func(name string) string { return filepath.Join(path, name) }
	require.Equal(t, map[string]string{
		"normalize_email": "", "another": "",
		"bad":    at("bad.sql") + `:1:1: unknown line "wrk", did you mean "work"?: the header knows format, work, version, summary, table, param, section; a newer bbmd may know more`,
		"binary": at("binary.sql") + ": the file is not UTF-8: save it as UTF-8",
		"large":  at("large.sql") + " has more than 1048576 bytes: split it",
	}, got)

	for _, c := range found {
		if c.Err != nil {
			continue
		}
		opened, err := sqlfile.Source{}.Open(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, c.Name, opened.Works()[0].Name)
		state, reason := opened.State()
		require.Equal(t, plugins.StateOK, state)
		require.Empty(t, reason)
		require.NoError(t, opened.Close())
	}
	_, err = sqlfile.Source{}.Open(t.Context(), plugins.Candidate{Path: "x"})
	require.ErrorContains(t, err, "x was not found by this source")
}

func TestPrepareOfSnapshot(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	require.NoError(t, os.Chmod(path, 0o755))
	bad := strings.Replace(strings.Replace(example(t), "work normalize_email", "work another", 1), "lower(btrim(email))", "lowr(email)", 1)
	require.NoError(t, os.WriteFile(filepath.Join(path, "good.sql"), []byte(example(t)), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(path, "bad.sql"), []byte(bad), 0o600))
	catalog := plugins.New(plugins.Options{Compiled: registry.New(), Dir: path, Sources: []plugins.Source{sqlfile.Source{}}, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, catalog.Reload(t.Context()))
	db := pgtest.NewEmpty(t)
	refused, err := catalog.Snapshot().Prepare(t.Context(), db.Conn(t))
	require.NoError(t, err)
	require.Empty(t, refused, "the table is another database's")
	db.Exec(t, usersTable)
	refused, err = catalog.Snapshot().Prepare(t.Context(), db.Conn(t))
	require.NoError(t, err)
	require.Len(t, refused, 1)
	require.Equal(t, "another", refused[0].Name)
	require.Equal(t, plugins.StateInvalid, refused[0].State)
	require.Contains(t, refused[0].Reason, filepath.Join(path, "bad.sql")+": statement of line 8: ERROR: function lowr(text) does not exist")
	require.NoError(t, catalog.Close())
}
