package control_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// What runs with every batch or claim must not pass over jobs that were finished a while
// ago, which the index of the open jobs keeps for as long as some session holds an old snapshot.
func TestBatchesDoNotReadTheIndexOfOpenJobs(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, "CREATE TABLE t (id bigint PRIMARY KEY)")
	db.Exec(t, `INSERT INTO bbm.batched_background_migration_jobs (batched_background_migration_id, ordinal, max_value, batch_size, status)
		SELECT 1, i, i, 1, 'finished' FROM generate_series(1, 2000) i`)
	db.Exec(t, "VACUUM (ANALYZE) bbm.batched_background_migration_jobs") // open_jobs is empty, and looks cheap
	conn := db.Conn(t)
	_, err := conn.Exec(t.Context(), "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off")
	require.NoError(t, err)
	store, index := control.Store{}, pgtest.One[uint32](t, db, "SELECT 't_pkey'::regclass::oid")
	for name, statement := range map[string]struct {
		sql, arguments string
	}{
		"fence":       {store.FenceSQL("public.t", index), "(1, 1)"},
		"token_fence": {store.TokenFenceSQL(index), "(1, 1, 'x', 1, 1)"},
		"state":       {store.StateSQL(), "(1)"},
	} {
		_, err := conn.Exec(t.Context(), "PREPARE "+name+" AS "+statement.sql)
		require.NoError(t, err)
		rows, err := conn.Query(t.Context(), "EXPLAIN EXECUTE "+name+statement.arguments, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		plan := strings.Join(lines, "\n")
		require.Contains(t, plan, "batched_background_migration_jobs", name)
		require.NotContains(t, plan, "open_jobs", name+"\n"+plan)
	}
}
