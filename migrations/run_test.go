package migrations_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// keys are the key types of public.items; the values come from i = 1 … 1000.
var keys = map[string]struct {
	key    registry.Key
	values string
}{
	"bigint":      {registry.Key{{Name: "id", Type: "bigint"}}, "i - 500"},
	"integer":     {registry.Key{{Name: "id", Type: "integer"}}, "i"},
	"uuid":        {registry.Key{{Name: "id", Type: "uuid"}}, "md5(i::text)::uuid"},
	"text":        {registry.Key{{Name: "id", Type: "text"}}, "md5(i::text)"},
	"timestamptz": {registry.Key{{Name: "id", Type: "timestamp with time zone"}}, "now() + i * interval '1.5 s'"},
	"composite":   {registry.Key{{Name: "tenant", Type: "bigint"}, {Name: "path", Type: "text"}}, "i % 7, md5(i::text)"},
}

func TestEveryWorkOnEveryKey(t *testing.T) {
	t.Parallel()
	for name, test := range keys {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.NewEmpty(t)
			conn := db.Conn(t)
			createItems(t, conn, test.key, test.values)
			run := func(work, arguments string) int64 {
				t.Helper()
				m := migration(arguments, test.key...)
				requireIndexCondition(t, conn, work, m)
				all := renderedKeys(t, conn, m.Key) // also those that are deleted now
				changed := process(t, conn, work, m)
				requireVerified(t, conn, work, m, all)
				return changed
			}
			count := func(where string) int {
				t.Helper()
				return pgtest.One[int](t, db, "SELECT count(*) FROM items WHERE "+where)
			}

			require.EqualValues(t, 1000, run("execute_sql", `{"sql": "UPDATE items SET n = n + 1 WHERE :range"}`))
			require.Equal(t, 1000, count("n = 1"))

			require.EqualValues(t, 500, run("backfill_column", `{"column": "big", "expression": "i * 2", "where": "i <= 500"}`))
			require.EqualValues(t, 500, run("backfill_column", `{"column": "big", "expression": "i * 2", "skip_equal": true}`))
			require.Equal(t, 1000, count("big = i * 2"))

			require.EqualValues(t, 1000, run("copy_column", `{"from": "big", "to": "note"}`), "bigint is assigned to text")
			require.EqualValues(t, 1000, run("copy_column", `{"from": "note", "to": "n", "cast": "integer"}`))
			require.EqualValues(t, 0, run("copy_column", `{"from": "note", "to": "n", "cast": "integer", "skip_equal": true}`))
			require.Equal(t, 1000, count("n = i * 2 AND note = n::text"))

			if len(test.key) == 1 {
				require.EqualValues(t, 1000, run("execute_sql", `{"sql": "WITH x AS (SELECT id FROM items WHERE id BETWEEN :start AND :end) UPDATE items SET n = 0 FROM x WHERE items.id = x.id"}`))
				require.Equal(t, 1000, count("n = 0"))
			}
			db.Exec(t, "CREATE TABLE copies (LIKE items INCLUDING ALL); INSERT INTO copies SELECT * FROM items WHERE i <= 10; UPDATE copies SET n = -i")
			columns, conflict := columnsOf(test.key)
			require.EqualValues(t, 990, run("copy_rows", `{"to": "copies", "columns": `+columns+`, "conflict": `+conflict+`}`))
			require.Equal(t, 10, pgtest.One[int](t, db, "SELECT count(*) FROM copies WHERE n = -i"), "rows that were there stay")
			require.EqualValues(t, 10, run("copy_rows", `{"to": "copies", "columns": `+columns+`, "conflict": `+conflict+`, "on_conflict": "update"}`))
			require.Equal(t, 0, pgtest.One[int](t, db, "SELECT count(*) FROM (TABLE items EXCEPT TABLE copies) missing"))

			db.Exec(t, "CREATE TABLE parts (item int, live boolean); CREATE INDEX ON parts (item); INSERT INTO parts SELECT i % 100, i % 2 = 0 FROM generate_series(1, 1000) i; ANALYZE parts")
			db.Exec(t, "UPDATE items SET n = 0")
			require.EqualValues(t, 49, run("reset_counter", `{"counter": "n", "from": "parts", "foreign_key": "item", "where": "live", "referenced_column": "i"}`))
			require.Equal(t, 49, count("n = 10 AND i < 100 AND i % 2 = 0"))
			require.EqualValues(t, 49, run("backfill_column", `{"column": "n", "expression": "0", "where": "n <> 0", "deterministic": true}`))

			require.EqualValues(t, 901, run("delete_orphans", `{"column": "i", "references": "parts", "referenced_column": "item"}`))
			require.Equal(t, 99, count("i < 100"))
			db.Exec(t, "TRUNCATE items; INSERT INTO items SELECT * FROM copies")
			require.EqualValues(t, 250, run("delete_rows", `{"where": "i > 750 -- the newest"}`))
			require.Equal(t, 750, count("i <= 750"))
			require.EqualValues(t, 750, run("delete_rows", `{"all": true}`))
			require.Zero(t, count("true"))
		})
	}
}

// columnsOf returns the names of all columns of public.items and of its key, as JSON.
func columnsOf(key registry.Key) (all, conflict string) {
	names := make([]string, len(key))
	for i, c := range key {
		names[i] = `"` + c.Name + `"`
	}
	conflict = strings.Join(names, ", ")
	return "[" + conflict + `, "i", "n", "big", "note"]`, "[" + conflict + "]"
}

func createItems(t *testing.T, conn *pgx.Conn, key registry.Key, values string) {
	t.Helper()
	var columns, names []string
	for _, c := range key {
		names = append(names, c.Name)
		columns = append(columns, c.Name+" "+c.Type)
	}
	_, err := conn.Exec(t.Context(), fmt.Sprintf(`
		CREATE TABLE public.items (%s, i int NOT NULL, n int NOT NULL DEFAULT 0, big bigint, note text, PRIMARY KEY (%s));
		INSERT INTO public.items SELECT %s, i FROM generate_series(1, 1000) i ORDER BY md5(i::text);
		ANALYZE public.items`, strings.Join(columns, ", "), strings.Join(names, ", "), values))
	require.NoError(t, err)
}

// requireIndexCondition asks for the generic plans of the first batch and of the others.
func requireIndexCondition(t *testing.T, conn *pgx.Conn, work string, m registry.Migration) {
	t.Helper()
	keys := renderedKeys(t, conn, m.Key)
	args := registry.Batch{Key: m.Key, After: keys[0], End: keys[len(keys)-1]}.Args()
	for _, first := range []bool{true, false} {
		text, _ := bind(t, work, m, first)
		explained := plan(t, conn, text, args)
		require.Regexp(t, `Index Cond: \(.* >=? .*\$1.* AND .* <= .*\$`, explained)
		for line := range strings.Lines(explained) {
			if strings.Contains(line, "Filter:") {
				require.NotContains(t, line, "$", "a bound that the index does not see:\n%s", explained)
			}
		}
	}
}
