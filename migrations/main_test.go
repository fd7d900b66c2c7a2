package migrations_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// migration returns one on public.items, whose key is id.
func migration(arguments string, key ...registry.Column) registry.Migration {
	if len(key) == 0 {
		key = registry.Key{{Name: "id", Type: "bigint"}}
	}
	return registry.Migration{Name: "test", Table: `"public"."items"`, Key: key, Arguments: json.RawMessage(arguments)}
}

// lookup returns a Work as a user of the package gets it.
func lookup(t *testing.T, name string) registry.Work {
	t.Helper()
	work, err := registry.Default().Lookup(name)
	require.NoError(t, err)
	return work
}

// bind returns a Work's statement for a migration.
func bind(t *testing.T, name string, m registry.Migration, first bool) (text string, usesStart bool) {
	t.Helper()
	work := lookup(t, name)
	require.NoError(t, work.ValidateArguments(m.Arguments))
	statement, err := work.SQL(m)
	require.NoError(t, err)
	text, err = statement.Bind(m.Key, first)
	require.NoError(t, err)
	return text, statement.UsesStart()
}

// process checks a migration and runs it over all rows, in batches of 83 rows.
// It returns how many rows the statements changed.
func process(t *testing.T, conn *pgx.Conn, name string, m registry.Migration) int64 {
	t.Helper()
	require.NoError(t, lookup(t, name).Check(t.Context(), conn, m))
	keys := renderedKeys(t, conn, m.Key)
	var total int64
	for i := 0; i < len(keys); i += 83 {
		text, usesStart := bind(t, name, m, i == 0)
		b := registry.Batch{Key: m.Key, After: keys[max(0, i-1)], End: keys[min(i+83, len(keys))-1]}
		if usesStart {
			b.After = keys[i]
		}
		tag, err := conn.Exec(t.Context(), text, b.Args()...)
		require.NoError(t, err)
		total += tag.RowsAffected()
	}
	return total
}

// renderedKeys returns the keys of public.items in their order.
func renderedKeys(t *testing.T, conn *pgx.Conn, key registry.Key) []string {
	t.Helper()
	var names, texts []string
	for _, column := range key {
		names = append(names, "items."+column.Name)
		texts = append(texts, "items."+column.Name+"::text")
	}
	rendered := texts[0]
	if len(key) > 1 {
		rendered = "jsonb_build_array(" + strings.Join(texts, ", ") + ")::text"
	}
	rows, err := conn.Query(t.Context(), "SELECT "+rendered+" FROM public.items ORDER BY "+strings.Join(names, ", "))
	require.NoError(t, err)
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return keys
}

// plan returns the generic plan of a statement, as an executor's session makes it.
func plan(t *testing.T, conn *pgx.Conn, text string, args []any) string {
	t.Helper()
	literals := make([]string, len(args))
	for i, arg := range args {
		literals[i] = "'" + strings.ReplaceAll(fmt.Sprint(arg), "'", "''") + "'"
	}
	exec := func(statement string) {
		_, err := conn.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	exec("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off")
	exec("PREPARE explained AS " + text)
	rows, err := conn.Query(t.Context(), "EXPLAIN (COSTS OFF) EXECUTE explained ("+strings.Join(literals, ", ")+")")
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	exec("DEALLOCATE explained; RESET ALL")
	return strings.Join(lines, "\n")
}
