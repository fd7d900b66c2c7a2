package registry_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
)

var (
	bigintKey    = registry.Key{{Name: "id", Type: "bigint"}}
	compositeKey = registry.Key{{Name: "tenant", Type: "bigint"}, {Name: "Path", Type: "text"}}
)

func TestStatementBind(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		key   registry.Key
		first bool
		text  string
		want  string
	}{
		"range": {
			key: bigintKey, text: `UPDATE t SET n = n + 1 WHERE :range`,
			want: `UPDATE t SET n = n + 1 WHERE ("id" > $1::bigint AND "id" <= $2::bigint)`,
		},
		"range of the first batch": {
			key: bigintKey, first: true, text: `DELETE FROM t WHERE :range`,
			want: `DELETE FROM t WHERE ("id" >= $1::bigint AND "id" <= $2::bigint)`,
		},
		"range of a composite key": {
			key: compositeKey, text: `DELETE FROM t WHERE :range`,
			want: `DELETE FROM t WHERE (("tenant", "Path") > ($1::bigint, $2::text) AND ("tenant", "Path") <= ($3::bigint, $4::text))`,
		},
		"range with an alias": {
			key: compositeKey, first: true, text: `DELETE FROM t AS x USING y WHERE :range(x) AND y.id = x.y_id`,
			want: `DELETE FROM t AS x USING y WHERE ((x."tenant", x."Path") >= ($1::bigint, $2::text) AND (x."tenant", x."Path") <= ($3::bigint, $4::text)) AND y.id = x.y_id`,
		},
		"range with a qualified, quoted alias": {
			key: bigintKey, text: `DELETE FROM public."T" WHERE :range( public . "T" )`,
			want: `DELETE FROM public."T" WHERE (public."T"."id" > $1::bigint AND public."T"."id" <= $2::bigint)`,
		},
		"start and end are inclusive in every batch": {
			key: bigintKey, text: `UPDATE t SET n = 1 WHERE id BETWEEN :start AND :end`,
			want: `UPDATE t SET n = 1 WHERE id BETWEEN ($1::bigint) AND ($2::bigint)`,
		},
		"range beside start is inclusive too": {
			key: bigintKey, text: `UPDATE t SET a = :start, b = :end WHERE :range`,
			want: `UPDATE t SET a = ($1::bigint), b = ($2::bigint) WHERE ("id" >= $1::bigint AND "id" <= $2::bigint)`,
		},
		"several uses": {
			key: bigintKey, text: `WITH x AS (SELECT id FROM t WHERE :range) UPDATE t SET n = 1 FROM x WHERE x.id = t.id AND :range(t)`,
			want: `WITH x AS (SELECT id FROM t WHERE ("id" > $1::bigint AND "id" <= $2::bigint)) UPDATE t SET n = 1 FROM x WHERE x.id = t.id AND (t."id" > $1::bigint AND t."id" <= $2::bigint)`,
		},
		"semicolons and comments at the end stay": {
			key: bigintKey, text: "DELETE FROM t WHERE :range; -- the :range\n;",
			want: `DELETE FROM t WHERE ("id" > $1::bigint AND "id" <= $2::bigint); -- the :range` + "\n;",
		},
		"casts, slices and JSON operators": {
			key: bigintKey, text: `UPDATE t SET a = b::text, c = d[1:2], e = f[lo:hi], g = j ? 'k' AND h=:start::text AND j @? '$.a' WHERE id<=:end`,
			want: `UPDATE t SET a = b::text, c = d[1:2], e = f[lo:hi], g = j ? 'k' AND h=($1::bigint)::text AND j @? '$.a' WHERE id<=($2::bigint)`,
		},
		"placeholder in parentheses in a subscript": {
			key: bigintKey, text: `UPDATE t SET a = ARRAY[(:start), (:end)] WHERE :range`,
			want: `UPDATE t SET a = ARRAY[(($1::bigint)), (($2::bigint))] WHERE ("id" >= $1::bigint AND "id" <= $2::bigint)`,
		},
		"named argument notation": {
			key: bigintKey, text: `SELECT f(a := 1, b=>:start, c:=:end)`,
			want: `SELECT f(a := 1, b=>($1::bigint), c:=($2::bigint))`,
		},
		"quoted key": {
			key: registry.Key{{Name: `a"b`, Type: `public."My Type"`}}, text: `DELETE FROM t WHERE :range`,
			want: `DELETE FROM t WHERE ("a""b" > $1::public."My Type" AND "a""b" <= $2::public."My Type")`,
		},
		"in parentheses": {
			key: bigintKey, text: `(SELECT f(:start, :end))`,
			want: `(SELECT f(($1::bigint), ($2::bigint)))`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			statement, err := registry.ParseStatement(test.text)
			require.NoError(t, err)
			require.Equal(t, test.text, statement.Text())
			got, err := statement.Bind(test.key, test.first)
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

// TestStatementLeavesAlone puts things that only look like placeholders,
// parameters or ends of the statement into a statement.
func TestStatementLeavesAlone(t *testing.T) {
	t.Parallel()
	for _, text := range opaque {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			statement, err := registry.ParseStatement("SELECT " + text + "\n FROM t WHERE :range")
			require.NoError(t, err)
			got, err := statement.Bind(bigintKey, false)
			require.NoError(t, err)
			require.Equal(t, "SELECT "+text+"\n"+` FROM t WHERE ("id" > $1::bigint AND "id" <= $2::bigint)`, got)
		})
	}
}

// opaque are texts in which PostgreSQL sees no placeholder; it is asked, too.
var opaque = []string{
	`':range $1; it''s :end'`,
	`''':range'`,
	`'\' /* :range $1; */`,
	`E'it\'s :range; $1'`,
	`e'\\' -- :range`,
	"E'a'\n'\\' :range; $1'",
	"E'a' -- b\n -- c\n 'it\\' :range'",
	"'a'\n'b\\'",
	"name'\\', ':range'",
	`B'01', X'1F', N':range', U&'\0041:range'`,
	`id AS U&"d!0061t:range" UESCAPE '!'`,
	`id AS "a:range"":end"`,
	`e"':range"`,
	`$$ :range $1; ' $$`,
	`$q$ :range $$ $1; $q $q$`,
	`$_é1$ :range $_é1$`,
	`a$1, b$$, c$q$, ':range', d$q$`,
	`/* :range /* $1; ' */ :end */ 1`,
	`/*/ :range */ 1 /**/ /***/`,
	`1 +/* :range */ 2`,
	`1 --:range; $1 '`,
	"1 -- a\r, ' -- \n:range'",
	`id::range, id::start, a [1::int]`,
	`a[lo:hi], a[:lo], a[lo:], a[ 1 : range ], a[(1):(start)]`,
	`a[1:E'\' :range'::text::int]`,
}

func TestParseStatementRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"nothing":                 {"", "1:1: no statement: write one"},
		"only a comment":          {"-- a\n;", "1:1: no statement"},
		"no placeholder":          {"\n UPDATE t SET n = 1", "2:2: no placeholder, so every batch would touch every row: write WHERE :range"},
		"only in a string":        {"UPDATE t SET n = ':range'", "1:1: no placeholder"},
		"start alone":             {"DELETE FROM t WHERE id >= :start", "1:1: :start without :end"},
		"end alone":               {"DELETE FROM t WHERE id <= :end AND :range", "1:1: :end without :start"},
		"parameter":               {"DELETE FROM t WHERE id = $1 AND :range", "1:26: parameter $1 has no value: write :range"},
		"two statements":          {"DELETE FROM t WHERE :range;\nDELETE FROM t", "2:1: a second statement begins"},
		"misspelt":                {"DELETE FROM é\nWHERE 'é' = :rnage", `2:13: unknown placeholder :rnage: the placeholders are :range, :start and :end`},
		"upper case":              {"DELETE FROM t WHERE :RANGE", "1:21: unknown placeholder :RANGE"},
		"longer name":             {"DELETE FROM t WHERE :range1", "1:21: unknown placeholder :range1"},
		"string open":             {"DELETE FROM t WHERE 'a :range", "1:21: string is not closed: end it with '"},
		"escape string open":      {`DELETE FROM t WHERE E'a\' :range`, "1:22: string is not closed"},
		"backslash last":          {`DELETE FROM t WHERE E'a\`, "1:22: string is not closed"},
		"dollar quote open":       {"DELETE FROM t WHERE $a$ :range $b$", "1:21: string is not closed: end it with $a$"},
		"name open":               {`DELETE FROM t WHERE "a :range`, `1:21: quoted name is not closed: end it with "`},
		"comment open":            {"DELETE FROM t /* /* */ WHERE :range", "1:15: comment is not closed: end it with */"},
		"slice or placeholder":    {"UPDATE t SET a = b[1:end] WHERE :range", "1:21: :end directly inside of [ ]"},
		"array of placeholders":   {"UPDATE t SET a = ARRAY[:start, :end] WHERE :range", "1:24: :start directly inside of [ ]"},
		"space before the alias":  {"DELETE FROM t WHERE :range (t)", "1:28: space between :range and its parenthesis"},
		"alias is not a name":     {"DELETE FROM t WHERE :range(1)", "1:21: :range is not followed by the alias"},
		"alias is a list":         {"DELETE FROM t WHERE :range(a, b)", "1:21: :range is not followed by the alias"},
		"alias is not closed":     {"DELETE FROM t WHERE :range(a", "1:21: :range is not followed by the alias"},
		"alias is empty":          {"DELETE FROM t WHERE :range()", "1:21: :range is not followed by the alias"},
		"call":                    {"CALL p(:start, :end)", "1:1: statement begins with CALL"},
		"do":                      {"do $$ begin commit; end $$ -- :range", "1:1: statement begins with DO"},
		"commit":                  {"/* a */ COMMIT", "1:9: statement begins with COMMIT"},
		"transaction in disguise": {"ROLLBACK; UPDATE t SET n = 1 WHERE :range", "1:11: a second statement begins"},
		"table":                   {"TRUNCATE t", "1:1: statement begins with TRUNCATE"},
		"zero byte":               {"DELETE\x00", "1:7: zero byte"},
		"not UTF-8":               {"DELETE é\xff", "1:9: not UTF-8"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := registry.ParseStatement(test.text)
			require.ErrorContains(t, err, test.want)
			var where *registry.StatementError
			require.ErrorAs(t, err, &where)
			require.NotEmpty(t, where.Fix)
		})
	}
}

func TestStatementBindRefuses(t *testing.T) {
	t.Parallel()
	between, err := registry.ParseStatement("DELETE FROM t WHERE id BETWEEN :start AND :end")
	require.NoError(t, err)

	_, err = between.Bind(compositeKey, false)
	require.ErrorContains(t, err, ":start and :end need a key of one column and this one is (tenant, Path): write WHERE :range")
	_, err = between.Bind(nil, false)
	require.ErrorContains(t, err, "key has no columns")
	_, err = registry.Statement{}.Bind(bigintKey, false)
	require.ErrorContains(t, err, "statement is empty")
}

func TestStatementUsesStart(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"DELETE FROM t WHERE :range":                             false,
		"DELETE FROM t WHERE :range AND a <> ':start'":           false,
		"DELETE FROM t WHERE id BETWEEN :start AND :end":         true,
		"UPDATE t SET a = (:end) - (:start) WHERE :range(t)":     true,
		"SELECT f(:start, :end) FROM generate_series(1, 1) s":    true,
		"INSERT INTO u SELECT * FROM t AS range WHERE :range(t)": false,
	} {
		statement, err := registry.ParseStatement(text)
		require.NoError(t, err)
		require.Equal(t, want, statement.UsesStart(), text)
	}
}
