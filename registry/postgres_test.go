package registry_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// keyTypes are tables of 1000 rows. The columns' values come from i.
var keyTypes = map[string]struct {
	before string
	key    registry.Key
	values []string
}{
	"bigint":      {key: registry.Key{{Name: "id", Type: "bigint"}}, values: []string{"i * 7 - 3000"}},
	"integer":     {key: registry.Key{{Name: "id", Type: "integer"}}, values: []string{"i"}},
	"uuid":        {key: registry.Key{{Name: "id", Type: "uuid"}}, values: []string{"md5(i::text)::uuid"}},
	"text":        {key: registry.Key{{Name: "Odd \"name", Type: "text"}}, values: []string{`chr(i % 90 + 33) || '''"\:range é' || i`}},
	"text C":      {key: registry.Key{{Name: "id", Type: `text`}}, values: []string{`upper(md5(i::text)) COLLATE "C"`}},
	"varchar":     {key: registry.Key{{Name: "id", Type: "character varying(20)"}}, values: []string{"i::text"}},
	"char":        {key: registry.Key{{Name: "id", Type: "character(8)"}}, values: []string{"i::text"}},
	"timestamptz": {key: registry.Key{{Name: "id", Type: "timestamp with time zone"}}, values: []string{"now() + i * interval '1.000001 s'"}},
	"date":        {key: registry.Key{{Name: "id", Type: "date"}}, values: []string{"date '1999-01-01' + i"}},
	"numeric":     {key: registry.Key{{Name: "id", Type: "numeric(12,3)"}}, values: []string{"i / 7.0 - 50"}},
	"domain": {
		before: "CREATE DOMAIN positive AS bigint CHECK (VALUE > 0)",
		key:    registry.Key{{Name: "id", Type: "positive"}}, values: []string{"i"},
	},
	"composite": {
		key:    registry.Key{{Name: "tenant", Type: "bigint"}, {Name: "path", Type: "text"}},
		values: []string{"i / 100", `md5(i::text) || '"\,[:end]'`},
	},
	"composite of three": {
		key:    registry.Key{{Name: "a", Type: "integer"}, {Name: "b", Type: "uuid"}, {Name: "c", Type: "timestamp with time zone"}},
		values: []string{"i / 300", "md5((i / 3)::text)::uuid", "now() + i * interval '1 us'"},
	},
}

func TestKeyTypes(t *testing.T) {
	t.Parallel()
	for name, test := range keyTypes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.NewEmpty(t)
			conn := db.Conn(t)
			createTable(t, conn, test.before, test.key, test.values)

			walk(t, conn, test.key, func(tx pgx.Tx, b registry.Batch) (int64, error) {
				return execBound(t, tx, b, "UPDATE t SET n = n + 1 WHERE :range")
			})
			walk(t, conn, test.key, func(tx pgx.Tx, b registry.Batch) (int64, error) {
				tag, err := tx.Exec(t.Context(), "UPDATE t SET n = n + 1 WHERE "+b.Where(), b.Args()...)
				return registry.Affected(tag).Rows, err
			})
			rounds := 2
			if len(test.key) == 1 {
				walk(t, conn, test.key, func(tx pgx.Tx, b registry.Batch) (int64, error) {
					return execBound(t, tx, b, "UPDATE t SET n = n + 1 WHERE "+pgx.Identifier{test.key[0].Name}.Sanitize()+" BETWEEN :start AND :end")
				})
				rounds++
			}
			require.Equal(t, 1000, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n = $1", rounds))
			requireIndexConditions(t, conn, test.key)
		})
	}
}

// createTable creates t with the key as its primary key, in random order.
func createTable(t *testing.T, conn *pgx.Conn, before string, key registry.Key, values []string) {
	t.Helper()
	var columns, names []string
	for _, c := range key {
		name := pgx.Identifier{c.Name}.Sanitize()
		names = append(names, name)
		columns = append(columns, name+" "+c.Type)
	}
	for _, statement := range []string{
		before,
		fmt.Sprintf("CREATE TABLE t (%s, n int NOT NULL DEFAULT 0, PRIMARY KEY (%s))", strings.Join(columns, ", "), strings.Join(names, ", ")),
		fmt.Sprintf("INSERT INTO t SELECT %s FROM generate_series(1, 1000) i ORDER BY md5(i::text)", strings.Join(values, ", ")),
		"ANALYZE t",
	} {
		_, err := conn.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
}

// walk cuts t into batches of 83 rows as an executor does, and runs each.
func walk(t *testing.T, conn *pgx.Conn, key registry.Key, run func(pgx.Tx, registry.Batch) (int64, error)) {
	t.Helper()
	const size = 83
	bounds := renderedKeys(t, conn, key)
	total := 0
	for i := 0; i < len(bounds); i += size {
		b := registry.Batch{Key: key, First: i == 0, After: bounds[max(0, i-1)], Start: bounds[i], End: bounds[min(i+size, len(bounds))-1]}
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		rows, err := run(tx, b)
		require.NoError(t, err)
		require.NoError(t, tx.Commit(t.Context()))
		require.EqualValues(t, min(size, len(bounds)-i), rows)
		total += int(rows)
	}
	require.Equal(t, 1000, total)
}

// renderedKeys returns all keys of t, rendered as Key says, in the key's order.
func renderedKeys(t *testing.T, conn *pgx.Conn, key registry.Key) []string {
	t.Helper()
	var names, texts []string
	for _, c := range key {
		name := "t." + pgx.Identifier{c.Name}.Sanitize()
		names = append(names, name)
		texts = append(texts, name+"::text")
	}
	rendered := texts[0]
	if len(key) > 1 {
		rendered = "jsonb_build_array(" + strings.Join(texts, ", ") + ")::text"
	}
	rows, err := conn.Query(t.Context(), "SELECT "+rendered+" FROM t ORDER BY "+strings.Join(names, ", "))
	require.NoError(t, err)
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return keys
}

// execBound runs a statement for a batch the way an executor does.
func execBound(t *testing.T, tx pgx.Tx, b registry.Batch, text string) (int64, error) {
	t.Helper()
	statement, err := registry.ParseStatement(text)
	require.NoError(t, err)
	bound, err := statement.Bind(b.Key, b.First)
	require.NoError(t, err)
	if statement.UsesStart() {
		b.After = b.Start
	}
	tag, err := tx.Exec(t.Context(), bound, b.Args()...)
	return tag.RowsAffected(), err
}

// requireIndexConditions asks for the generic plan of every form.
func requireIndexConditions(t *testing.T, conn *pgx.Conn, key registry.Key) {
	t.Helper()
	_, err := conn.Exec(t.Context(), "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off")
	require.NoError(t, err)
	texts := []string{"UPDATE t SET n = 0 WHERE :range", "DELETE FROM t x WHERE :range(x) AND n > 0"}
	if len(key) == 1 {
		texts = append(texts, "UPDATE t SET n = 0 WHERE "+pgx.Identifier{key[0].Name}.Sanitize()+" BETWEEN :start AND :end")
	}
	bounds := renderedKeys(t, conn, key)
	args := registry.Batch{Key: key, After: bounds[0], End: bounds[len(bounds)-1]}.Args()
	for i, text := range texts {
		for _, first := range []bool{true, false} {
			statement, err := registry.ParseStatement(text)
			require.NoError(t, err)
			bound, err := statement.Bind(key, first)
			require.NoError(t, err)
			name := fmt.Sprintf("explain_%d_%t", i, first)
			_, err = conn.Exec(t.Context(), "PREPARE "+name+" AS "+bound)
			require.NoError(t, err)
			plan := explain(t, conn, name, args)
			require.Regexp(t, `Index Cond: \(.* >=? .*\$1.* AND .* <= .*\$`, plan)
			for line := range strings.Lines(plan) {
				if strings.Contains(line, "Filter:") {
					require.NotContains(t, line, "$", plan)
				}
			}
		}
	}
}

func explain(t *testing.T, conn *pgx.Conn, prepared string, args []any) string {
	t.Helper()
	var literals []string
	for _, arg := range args {
		literals = append(literals, "'"+strings.ReplaceAll(fmt.Sprint(arg), "'", "''")+"'")
	}
	rows, err := conn.Query(t.Context(), "EXPLAIN (COSTS OFF) EXECUTE "+prepared+" ("+strings.Join(literals, ", ")+")")
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return strings.Join(lines, "\n")
}

// TestLexerAgainstPostgreSQL lets the server judge random texts. A placeholder
// outside of strings and comments is a syntax error to it, so in a text that
// it accepts there is none, and the parser must leave such a text alone.
func TestLexerAgainstPostgreSQL(t *testing.T) {
	t.Parallel()
	conn := pgtest.NewEmpty(t).Conn(t)
	_, err := conn.Exec(t.Context(), `
		CREATE DOMAIN range AS int; CREATE DOMAIN start AS int;
		CREATE TABLE t (id bigint, a int[], e int, a$1 int, b$$ int, c$q$ int, d$q$ int, lo int, hi int, start int, range int)`)
	require.NoError(t, err)
	for _, text := range opaque {
		require.NoError(t, refusal(t.Context(), conn, text), text)
	}

	random := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for range 20_000 {
		text := randomText(random)
		if refusal(t.Context(), conn, text) != nil {
			continue
		}
		accepted++
		requireUntouched(t, text)
	}
	require.Greater(t, accepted, 2_000, "too few texts to mean anything")
}

// requireUntouched parses a statement around a text without placeholders. A
// parameter, and what may be a slice as well, may be refused.
func requireUntouched(t *testing.T, text string) {
	t.Helper()
	statement, err := registry.ParseStatement("SELECT " + text + "\n FROM t WHERE :range")
	if err != nil {
		require.Regexp(t, `parameter \$|directly inside of`, err.Error(), "%q", text)
		return
	}
	bound, err := statement.Bind(bigintKey, false)
	require.NoError(t, err)
	require.Equal(t, "SELECT "+text+"\n"+` FROM t WHERE ("id" > $1::bigint AND "id" <= $2::bigint)`, bound)
}

// refusal returns why the server does not take the text as a list of expressions.
func refusal(ctx context.Context, conn *pgx.Conn, text string) error {
	_, err := conn.PgConn().Prepare(ctx, "", "SELECT "+text+"\n FROM t WHERE true", nil)
	return err
}

// randomText strings fragments together, most of them inside something that quotes.
func randomText(random *rand.Rand) string {
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	openings := [][2]string{
		{"'", "'"},
		{"E'", "'"},
		{"e'", "'"},
		{"U&'", "'"},
		{"name'", "'"},
		{"$$", "$$"},
		{"$a$", "$a$"},
		{`id AS "`, `"`},
		{"1 /*", "*/"},
		{"1 --", "\n"},
		{"a[", "]"},
		{"a[1:", "]"},
		{"a[1:E'", "']"},
		{"(", ")"},
		{"a$1", ""},
		{"", ""},
	}
	fragments := []string{
		"'", "''", "'\n'", "' -- x\n'", `"`, `""`, `\`, `\\`, `\'`, "$$", "$a$", "$", "$1", "--", "/*", "*/", "\n", "\r", ";",
		":start", ":range", ":end", ":", "::int", "E'", "1", "e", ",", " ", "é", "id",
	}
	var text strings.Builder
	for range 1 + random.IntN(3) {
		if text.Len() > 0 {
			text.WriteString(pick([]string{", ", ",", "\n, ", ", -- x\r", "||"}))
		}
		opening := openings[random.IntN(len(openings))]
		text.WriteString(opening[0])
		for range random.IntN(4) {
			text.WriteString(pick(fragments))
		}
		text.WriteString(opening[1])
	}
	return text.String()
}
