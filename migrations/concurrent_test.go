package migrations_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// TestResetCounterLeavesWhatOthersCount lets a batch wait for an application that
// adds a row and counts it, in one transaction.
func TestResetCounterLeavesWhatOthersCount(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	db.Exec(t, `
		CREATE TABLE public.items (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO items VALUES (1, 0), (2, 40), (3, 0);
		CREATE TABLE parts (item_id bigint); CREATE INDEX ON parts (item_id); INSERT INTO parts VALUES (1), (2), (2), (3)`)
	m := migration(`{"counter": "n", "from": "parts", "foreign_key": "item_id"}`)
	text, _ := bind(t, "reset_counter", m, true)

	application, err := db.Conn(t).Begin(t.Context())
	require.NoError(t, err)
	_, err = application.Exec(t.Context(), "WITH part AS (INSERT INTO parts VALUES (2)) UPDATE items SET n = n + 1 WHERE id = 2")
	require.NoError(t, err)

	done := make(chan error, 1)
	go func() {
		conn, err := pgx.Connect(t.Context(), db.URL)
		if err == nil {
			_, err = conn.Exec(t.Context(), text, registry.Batch{Key: m.Key, First: true, After: "1", End: "3"}.Args()...)
			_ = conn.Close(t.Context())
		}
		done <- err
	}()
	db.WaitFor(t, "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0")
	require.NoError(t, application.Commit(t.Context()))
	require.NoError(t, <-done)
	require.Equal(t, []int{1, 41, 1}, pgtest.Column[int](t, db, "SELECT n FROM items ORDER BY id"), "the row that somebody counted meanwhile is left alone")

	conn := db.Conn(t)
	wrong, err := wrongRows(t, conn, "reset_counter", m, []string{"1", "2", "3"})
	require.NoError(t, err)
	require.EqualValues(t, 1, wrong, "it is found when the finish is verified")
	require.EqualValues(t, 1, process(t, conn, "reset_counter", m))
	require.Equal(t, []int{1, 3, 1}, pgtest.Column[int](t, db, "SELECT n FROM items ORDER BY id"))
}

// TestOrphansCostALookUpEach demands that a batch does not read all of the
// referenced table's index, which a join of the two would.
func TestOrphansCostALookUpEach(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	conn := db.Conn(t)
	_, err := conn.Exec(t.Context(), `
		CREATE TABLE public.items (id bigint PRIMARY KEY, owner bigint); INSERT INTO items SELECT i, i FROM generate_series(1, 20000) i;
		CREATE TABLE owners (id bigint PRIMARY KEY); INSERT INTO owners SELECT generate_series(1, 2000); ANALYZE items; ANALYZE owners`)
	require.NoError(t, err)
	text, _ := bind(t, "delete_orphans", migration(`{"column": "owner", "references": "owners", "referenced_column": "id"}`), false)
	explained := plan(t, conn, text, []any{"1", "100"})
	require.Contains(t, explained, "SubPlan")
	require.Contains(t, explained, "Index Cond: (id = items.owner)")
	require.NotContains(t, explained, "Join")
}
