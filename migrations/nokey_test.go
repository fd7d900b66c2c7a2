package migrations_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// TestWithoutKey runs the Works as the strategy "null" does: on rows by their address.
func TestWithoutKey(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	conn := db.Conn(t)
	db.Exec(t, `
		CREATE TABLE public.items (id bigint, word text, short text, n int);
		INSERT INTO items SELECT i, 'word ' || i FROM generate_series(1, 20) i;
		CREATE TABLE parts (item bigint); CREATE INDEX ON parts (item); INSERT INTO parts VALUES (1), (1), (2)`)
	for _, test := range []struct {
		work, arguments string
		want            int64
	}{
		{"execute_sql", `{"sql": "UPDATE items SET short = 'x' WHERE :range", "verify_sql": "SELECT count(*) FROM items WHERE :range"}`, 10},
		{"backfill_column", `{"column": "short", "expression": "upper(word)", "deterministic": true}`, 10},
		{"copy_column", `{"from": "word", "to": "short"}`, 10},
		{"reset_counter", `{"counter": "n", "from": "parts", "foreign_key": "item", "referenced_column": "id"}`, 10},
		{"delete_orphans", `{"column": "id", "references": "parts", "referenced_column": "item"}`, 8},
		{"delete_rows", `{"where": "id > 5"}`, 5},
	} {
		m := registry.Migration{Name: "test", Table: `"public"."items"`, Arguments: json.RawMessage(test.arguments)}
		require.NoError(t, lookup(t, test.work).Check(t.Context(), conn, m), test.work)
		statement, err := lookup(t, test.work).SQL(m)
		require.NoError(t, err)
		text, err := statement.BindRows()
		require.NoError(t, err)
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		var rows string
		require.NoError(t, tx.QueryRow(t.Context(), "SELECT array_agg(ctid)::text FROM items WHERE id <= 10").Scan(&rows))
		tag, err := tx.Exec(t.Context(), text, rows)
		require.NoError(t, err)
		require.Equal(t, test.want, tag.RowsAffected(), test.work)
		require.NoError(t, tx.Rollback(t.Context()))
	}
	for work, want := range map[string]string{
		`copy_rows {"to": "parts", "columns": {"item": "id"}, "conflict": ["item"]}`:     `copying leaves the column NULL`,
		`reset_counter {"counter": "n", "from": "parts", "foreign_key": "item"}`:         `the key is not one column`,
		`execute_sql {"sql": "UPDATE items SET n = 1 WHERE id BETWEEN :start AND :end"}`: `:start needs a range of keys`,
	} {
		name, arguments, _ := strings.Cut(work, " ")
		err := lookup(t, name).Check(t.Context(), conn, registry.Migration{Table: `"public"."items"`, Arguments: json.RawMessage(arguments)})
		require.ErrorContains(t, err, want)
	}
}
