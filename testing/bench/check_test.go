package bench_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/bench"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// Work that is fast and wrong must not win.
func TestWrongWorkIsFound(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	server := pgtest.NewServer(t, pgserver.Options{})
	d, err := bench.NewDatabase(ctx, server.Server, "checks")
	require.NoError(t, err)
	t.Cleanup(func() { bench.Close(d, ctx) })
	for _, keys := range []string{string(bench.Bigints), string(bench.UUIDs)} {
		kind := bench.Bigints
		if keys == string(bench.UUIDs) {
			kind = bench.UUIDs
		}
		require.NoError(t, bench.Fill(d, ctx, kind, 100))
		batches, err := bench.Batches(d, ctx, kind, 100, 10)
		require.NoError(t, err)
		require.Len(t, batches, 10)
		touched := bench.NewSlice(batches[:8], 10)

		within := " WHERE id <= '" + touched.Last() + "'"
		require.NoError(t, bench.RunSQL(d, ctx, "UPDATE bench_rows SET b = b + 1"+within))
		require.NoError(t, bench.CheckOnce(d, ctx, kind, touched.Last()))
		for name, sql := range map[string]string{
			"a row changed twice":     "UPDATE bench_rows SET b = b + 1 WHERE id = (SELECT id FROM bench_rows" + within + " LIMIT 1)",
			"a row left out":          "UPDATE bench_rows SET b = b - 1 WHERE id = (SELECT id FROM bench_rows" + within + " LIMIT 1)",
			"a row beyond the slices": "UPDATE bench_rows SET b = b + 1 WHERE id = (SELECT id FROM bench_rows ORDER BY id DESC LIMIT 1)",
		} {
			require.NoError(t, bench.RunSQL(d, ctx, "BEGIN", sql))
			require.ErrorContains(t, bench.CheckOnce(d, ctx, kind, touched.Last()), "1 were not", name)
			require.NoError(t, bench.RunSQL(d, ctx, "ROLLBACK"))
		}
	}
}

func TestWrongChainIsFound(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	server := pgtest.NewServer(t, pgserver.Options{})
	d, err := bench.NewDatabase(ctx, server.Server, "chains")
	require.NoError(t, err)
	t.Cleanup(func() { bench.Close(d, ctx) })
	require.NoError(t, bench.Fill(d, ctx, bench.Bigints, 40))
	batches, err := bench.Batches(d, ctx, bench.Bigints, 40, 10)
	require.NoError(t, err)
	slice := bench.NewSlice(batches, 10)
	require.NoError(t, bench.RunSQL(d, ctx,
		"INSERT INTO bbm.batched_background_migrations (name, job_signature_name, table_name, status) VALUES ('m', 'w', 'bench_rows', 'paused')",
		`INSERT INTO bbm.batched_background_migration_jobs (batched_background_migration_id, ordinal, after_value, max_value, batch_size, status)
		 SELECT id, n, nullif(n - 1, 0) * 10, n * 10, 10, 'finished' FROM bbm.batched_background_migrations, generate_series(1, 4) n`,
		"ALTER TABLE bbm.batched_background_migration_jobs DISABLE TRIGGER USER"))
	require.NoError(t, bench.CheckChain(d, ctx, "m", slice))
	for name, sql := range map[string]string{
		"a job not finished": "UPDATE bbm.batched_background_migration_jobs SET status = 'pending' WHERE ordinal = 2",
		"a gap":              "UPDATE bbm.batched_background_migration_jobs SET after_value = '21' WHERE ordinal = 3",
		"a job too few":      "DELETE FROM bbm.batched_background_migration_jobs WHERE ordinal = 4",
		"another end":        "UPDATE bbm.batched_background_migration_jobs SET max_value = '39' WHERE ordinal = 4",
	} {
		require.NoError(t, bench.RunSQL(d, ctx, "BEGIN", sql))
		require.Error(t, bench.CheckChain(d, ctx, "m", slice), name)
		require.NoError(t, bench.RunSQL(d, ctx, "ROLLBACK"))
	}
}
