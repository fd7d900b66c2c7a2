package initialize_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/initialize"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"nothing":                    {" \n-- a\n/* b /* c */ */ ;;\n", nil},
		"the last without semicolon": {"SELECT 1; SELECT 2", []string{"SELECT 1", "SELECT 2"}},
		"semicolons in quotes":       {`SELECT ';', E'\';', "a;""b", $$;$$, $x$ $$; $x$; SELECT 'it''s;'`, []string{`SELECT ';', E'\';', "a;""b", $$;$$, $x$ $$; $x$`, `SELECT 'it''s;'`}},
		"a doubled quote in E''":     {`SELECT E'a'';'; SELECT e'\\'; SELECT 2`, []string{`SELECT E'a'';'`, `SELECT e'\\'`, `SELECT 2`}},
		"a backslash elsewhere":      {`SELECT '\'; SELECT 2`, []string{`SELECT '\'`, `SELECT 2`}},
		"semicolons in comments":     {"SELECT 1 -- ;\n + /* ; */ 2;", []string{"SELECT 1 -- ;\n + /* ; */ 2"}},
		"a rule with two":            {"CREATE RULE r AS ON INSERT TO a DO (SELECT 1; SELECT 2); SELECT 3", []string{"CREATE RULE r AS ON INSERT TO a DO (SELECT 1; SELECT 2)", "SELECT 3"}},
		"a body that is not quoted": {
			"CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END; SELECT 3",
			[]string{"CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END", "SELECT 3"},
		},
		"begin is nothing elsewhere": {"BEGIN; SELECT 1; END;", []string{"BEGIN", "SELECT 1", "END"}},
		"dollars that are no quotes": {"SELECT $1, a$b$c; SELECT 2", []string{"SELECT $1, a$b$c", "SELECT 2"}},
		"numbers":                    {"SELECT 1e5, 1_000; SELECT 2", []string{"SELECT 1e5, 1_000", "SELECT 2"}},
		"names in other letters":     {"SELECT größe FROM tür; SELECT 2", []string{"SELECT größe FROM tür", "SELECT 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := initialize.Split("a.sql", test.text)
			require.NoError(t, err)
			var texts []string
			for _, one := range all {
				texts = append(texts, one.Text)
			}
			require.Empty(t, cmp.Diff(test.want, texts))
		})
	}
}

func TestSplitKnowsLinesAndRows(t *testing.T) {
	t.Parallel()
	all, err := initialize.Split("a.sql", "-- one\nSELECT\n 1;\n\nCOPY a (b) FROM stdin WITH (FORMAT text);\n1\\t;'\n\\.\n\nCOPY b FROM STDIN;\n\\.\nSELECT 2;\nCOPY c FROM STDIN;\nlast\n")
	require.NoError(t, err)
	rows := func(text string) *string { return &text }
	require.Empty(t, cmp.Diff([]initialize.Piece{
		{Text: "SELECT\n 1", Line: 2},
		{Text: "COPY a (b) FROM stdin WITH (FORMAT text)", Line: 5, Rows: rows("1\\t;'\n")},
		{Text: "COPY b FROM STDIN", Line: 9, Rows: rows("")},
		{Text: "SELECT 2", Line: 11},
		{Text: "COPY c FROM STDIN", Line: 12, Rows: rows("last\n")},
	}, all))
}

func TestSplitSaysWhatHasNoEnd(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"SELECT 1;\nSELECT 'abc;\n":            "a.sql:2: a quote (') begins here",
		"SELECT 1;\n\nSELECT \"abc;\n":         "a.sql:3: a quote (\") begins here",
		"CREATE FUNCTION f() AS\n$body$ a;\n$": "a.sql:2: a quote ($body$) begins here",
		"SELECT 1;\n/* a\n/* b */\n":           "a.sql:2: a comment begins here",
		"SELECT 1\n\\gset\n":                   `a.sql:2: \gset is a command of psql's in the middle of a statement`,
	} {
		_, err := initialize.Split("a.sql", text)
		require.ErrorContains(t, err, want)
	}
}

func TestCheckKnowsWhatCannotBePartOfATransaction(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"SELECT 1; COMMIT; SELECT 2", "ROLLBACK", "ABORT", "PREPARE TRANSACTION 'a'", "START TRANSACTION ISOLATION LEVEL SERIALIZABLE",
		"VACUUM a", "CREATE DATABASE a", "DROP DATABASE a", "CREATE TABLESPACE a LOCATION 'b'", "ALTER SYSTEM SET a = 1", "CLUSTER", "REINDEX DATABASE a",
		"CREATE INDEX CONCURRENTLY a ON b (c)", "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS a ON b (c)", "DROP INDEX CONCURRENTLY a", "REINDEX INDEX CONCURRENTLY a",
		"REINDEX (CONCURRENTLY, VERBOSE) TABLE a", "ALTER TABLE a DETACH PARTITION b CONCURRENTLY", "COPY a TO STDOUT", `\copy a FROM 'b'`, `\i a.sql`, `\c other`, `\set a b`,
	} {
		_, err := initialize.Checked("a.sql", text)
		require.Error(t, err, text)
		require.Contains(t, err.Error(), "a.sql:1: ", text)
	}
	for _, text := range []string{
		"BEGIN; SELECT 1; COMMIT", "SAVEPOINT a; ROLLBACK TO SAVEPOINT a", "PREPARE a AS SELECT 1", "REFRESH MATERIALIZED VIEW CONCURRENTLY a", `\restrict a` + "\nSELECT 1",
		"CREATE INDEX a ON b (c)", "CLUSTER a", "COPY a FROM '/b'", "CREATE TABLE \"CONCURRENTLY\" (a int)", "COPY a TO '/b'", "REINDEX TABLE a",
	} {
		_, err := initialize.Checked("a.sql", text)
		require.NoError(t, err, text)
	}
}

// FuzzSplit: nothing is lost between statements but blanks and comments, and a
// statement by itself is that statement.
func FuzzSplit(f *testing.F) {
	dump, err := os.ReadFile("testdata/pg_dump.sql")
	require.NoError(f, err)
	for _, seed := range []string{
		string(dump), "SELECT 1;", "E'\\'';$a$;$a$", "COPY a FROM stdin;\n\\.\n", "CREATE FUNCTION f() BEGIN ATOMIC; CASE END; END; SELECT", "/*/**/*/;\\x\n;'", "((;);)", "$", "--\\",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := initialize.Split("a.sql", text)
		if err != nil {
			return
		}
		rest, line := text, 1
		for _, one := range all {
			at := strings.Index(rest, one.Text)
			require.GreaterOrEqual(t, at, 0, "%q", one.Text)
			rest = rest[at+len(one.Text):]
			require.GreaterOrEqual(t, one.Line, line)
			line = one.Line
			if one.Rows != nil || one.Meta {
				continue
			}
			again, err := initialize.Split("a.sql", one.Text)
			require.NoError(t, err)
			require.Len(t, again, 1)
			require.Equal(t, one.Text, again[0].Text)
		}
	})
}
