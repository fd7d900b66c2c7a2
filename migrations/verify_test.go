package migrations_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// requireVerified demands that nothing is wrong in any range that was processed,
// for a Work and arguments that can be verified.
func requireVerified(t *testing.T, conn *pgx.Conn, work string, m registry.Migration, all []string) {
	t.Helper()
	wrong, err := wrongRows(t, conn, work, m, all)
	if !errors.Is(err, registry.ErrUnverifiable) {
		require.NoError(t, err)
		require.Zero(t, wrong, "%s %s", work, m.Arguments)
	}
}

// wrongRows verifies all ranges of 83 keys and returns the number of rows that are wrong.
func wrongRows(t *testing.T, conn *pgx.Conn, work string, m registry.Migration, all []string) (int64, error) {
	t.Helper()
	verify := lookup(t, work).Verify
	var total int64
	for i := 0; i < len(all); i += 83 {
		wrong, err := verify(t.Context(), conn, registry.Batch{
			Migration: m.Name, Table: m.Table, Key: m.Key, Arguments: m.Arguments,
			First: i == 0, After: all[max(0, i-1)], End: all[min(i+83, len(all))-1],
		})
		if err != nil {
			return 0, err
		}
		total += wrong
	}
	return total, nil
}

func TestVerifyCounts(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	conn := db.Conn(t)
	db.Exec(t, `
		CREATE TABLE public.items (id bigint PRIMARY KEY, n int, word text, doc json, old_doc json, price numeric, exact numeric(6, 2), owner bigint);
		INSERT INTO items SELECT i, i, 'Word ' || i, '{"a": 1}', '{"a":1}', i / 8.0, i / 8.0, i % 20 FROM generate_series(1, 200) i;
		UPDATE items SET n = NULL, owner = NULL WHERE id % 50 = 0;
		CREATE TABLE owners (id bigint PRIMARY KEY, held int); INSERT INTO owners SELECT generate_series(0, 16);
		CREATE TABLE copies (id bigint PRIMARY KEY, word text, doc json, at timestamptz);
		INSERT INTO copies SELECT id, word, CASE WHEN id > 7 THEN doc ELSE old_doc END, now() - interval '1 day' FROM items WHERE id <= 150;
		CREATE INDEX ON items (owner)`)
	tests := map[string]struct {
		work, arguments string
		want            int64
	}{
		"backfill":                       {"backfill_column", `{"column": "n", "expression": "id", "deterministic": true}`, 4},
		"backfill where":                 {"backfill_column", `{"column": "n", "expression": "id", "where": "id < 150", "deterministic": true}`, 2},
		"backfill where nothing is left": {"backfill_column", `{"column": "n", "expression": "0", "where": "n IS NULL AND id > 500", "deterministic": true}`, 0},
		"backfill with NULL":             {"backfill_column", `{"column": "n", "expression": "NULL", "deterministic": true}`, 196},
		"backfill without an equality":   {"backfill_column", `{"column": "doc", "expression": "'{\"a\": 1}'", "deterministic": true}`, 0},
		"backfill another text":          {"backfill_column", `{"column": "old_doc", "expression": "'{\"a\": 1}'", "deterministic": true}`, 200},
		"backfill that is rounded":       {"backfill_column", `{"column": "exact", "expression": "id / 8.0", "deterministic": true}`, 0},
		"backfill that keeps equals":     {"backfill_column", `{"column": "price", "expression": "id * 125 / 1000.0000000", "skip_equal": true, "deterministic": true}`, 0},
		"copy":                           {"copy_column", `{"from": "doc", "to": "old_doc"}`, 200},
		"copy rounded":                   {"copy_column", `{"from": "price", "to": "exact"}`, 0},
		"copy to text":                   {"copy_column", `{"from": "id", "to": "word"}`, 200},
		"copy cast":                      {"copy_column", `{"from": "id", "to": "n", "cast": "integer", "skip_equal": true}`, 4},
		"delete":                         {"delete_rows", `{"where": "id > 190 OR n IS NULL"}`, 13},
		"delete all":                     {"delete_rows", `{"all": true}`, 200},
		"orphans":                        {"delete_orphans", `{"column": "owner", "references": "owners", "referenced_column": "id"}`, 30},
		"copies are there":               {"copy_rows", `{"to": "copies", "columns": ["id", "doc"], "conflict": ["id"]}`, 50},
		"copies agree":                   {"copy_rows", `{"to": "copies", "columns": ["id", "doc"], "conflict": ["id"], "on_conflict": "update"}`, 57},
		"copies agree where asked":       {"copy_rows", `{"to": "copies", "columns": ["id", "doc"], "conflict": ["id"], "on_conflict": "update", "where": "id <= 10"}`, 7},
		"copies of plain columns":        {"copy_rows", `{"to": "copies", "columns": {"id": "id", "word": "\"word\"", "at": "now()"}, "conflict": ["id"], "on_conflict": "update"}`, 50},
		"copies of all expressions":      {"copy_rows", `{"to": "copies", "columns": {"id": "id", "word": "word || 's'"}, "conflict": ["id"], "on_conflict": "update", "deterministic": true}`, 200},
		"own query":                      {"execute_sql", `{"sql": "UPDATE items SET n = 1 WHERE :range", "verify_sql": "SELECT count(*) FROM items WHERE :range AND n > 100;"}`, 98},
		"own query with bounds":          {"execute_sql", `{"sql": "UPDATE items SET n = 1 WHERE :range", "verify_sql": "SELECT sum(1) FROM items WHERE id BETWEEN :start AND :end -- every"}`, 200},
	}
	for name, test := range tests {
		m := migration(test.arguments)
		require.NoError(t, lookup(t, test.work).Check(t.Context(), conn, m), name)
		wrong, err := wrongRows(t, conn, test.work, m, renderedKeys(t, conn, m.Key))
		require.NoError(t, err, name)
		require.Equal(t, test.want, wrong, name)
	}
}

func TestVerifyCountsCounters(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	db.Exec(t, `
		CREATE TABLE public.items (id bigint PRIMARY KEY, n int); INSERT INTO items VALUES (1, 2), (2, 2), (3, NULL), (4, 0);
		CREATE TABLE parts (item_id bigint, live boolean); CREATE INDEX ON parts (item_id);
		INSERT INTO parts VALUES (1, true), (1, false), (2, true), (9, true)`)
	conn := db.Conn(t)
	for _, test := range []struct {
		arguments string
		want      int64
	}{
		{`{"counter": "n", "from": "parts", "foreign_key": "item_id"}`, 2},                  // 2 and 3
		{`{"counter": "n", "from": "parts", "foreign_key": "item_id", "where": "live"}`, 1}, // 1
	} {
		m := migration(test.arguments)
		keys := renderedKeys(t, conn, m.Key)
		wrong, err := wrongRows(t, conn, "reset_counter", m, keys)
		require.NoError(t, err)
		require.Equal(t, test.want, wrong)
		require.Equal(t, test.want, process(t, conn, "reset_counter", m))
		requireVerified(t, conn, "reset_counter", m, keys)
	}
	require.Equal(t, []int{1, 1, 0, 0}, pgtest.Column[int](t, db, "SELECT n FROM items ORDER BY id"))
}

func TestUnverifiable(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	for work, arguments := range map[string]string{
		"backfill_column": `{"column": "n", "expression": "random()"}`,
		"execute_sql":     `{"sql": "UPDATE items SET n = 1 WHERE :range"}`,
	} {
		_, err := lookup(t, work).Verify(t.Context(), db.Conn(t), registry.Batch{Table: `"public"."items"`, Arguments: []byte(arguments)})
		require.ErrorIs(t, err, registry.ErrUnverifiable)
	}
}

func TestVerifyWithoutNumber(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	db.Exec(t, "CREATE TABLE public.items (id bigint PRIMARY KEY, n int); INSERT INTO items VALUES (1, 1), (2, 1)")
	for query, want := range map[string]string{
		"SELECT id FROM items WHERE :range AND n > 1": "verify: the statement returns no number: let it return one row, as count(*) does",
		"SELECT id FROM items WHERE :range":           "more than one row returned by a subquery",
	} {
		m := migration(`{"sql": "UPDATE items SET n = 1 WHERE :range", "verify_sql": "` + query + `"}`)
		_, err := wrongRows(t, db.Conn(t), "execute_sql", m, []string{"1", "2"})
		require.ErrorContains(t, err, want)
	}
}
