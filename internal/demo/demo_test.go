package demo_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/demo"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// told returns a database as the story leaves it before the proof, with ten
// jobs over the rows of scale 1.
func told(t *testing.T) *pgtest.Database {
	t.Helper()
	db := pgtest.New(t)
	require.NoError(t, demo.LikePgbench(t.Context(), db.Conn(t), 1))
	db.Exec(t, `UPDATE pgbench_accounts SET abalance = 1;
		SELECT bbm.enqueue('w', 'pgbench_accounts', name => 'add_one');
		UPDATE bbm.batched_background_migrations SET status = 'running', table_oid = table_name::regclass, min_value = '1', max_value = '100000';
		INSERT INTO bbm.batched_background_migration_jobs (batched_background_migration_id, ordinal, after_value, max_value, batch_size, status)
		SELECT 1, g, nullif((g - 1) * 10000, 0), g * 10000, 10000, 'finished' FROM generate_series(1, 10) g;
		UPDATE bbm.batched_background_migrations SET status = 'finished'`)
	return db
}

func TestLikePgbenchMakesTheRows(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	require.NoError(t, demo.LikePgbench(t.Context(), db.Conn(t), 1))
	require.Equal(t, 100_000, pgtest.One[int](t, db, "SELECT count(*) FROM pgbench_accounts WHERE abalance = 0"))
	require.Equal(t, []int{1, 10}, pgtest.Column[int](t, db, "SELECT count(*) FROM pgbench_branches UNION ALL SELECT count(*) FROM pgbench_tellers"))
}

func TestTheProofHolds(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, demo.Prove(t.Context(), &out, told(t).Conn(t), 1))
	require.Contains(t, out.String(), "✓ 0 rows: each of the 100,000 was changed exactly once\n")
	require.Contains(t, out.String(), "✓ 10 jobs, all finished, no gap and no overlap: they tile the keys\n")
}

func TestTheProofSeesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ harm, want string }{
		"a row that was changed twice": {
			"UPDATE pgbench_accounts SET abalance = 2 WHERE aid = 7", "✗ 1 rows were not changed exactly once",
		},
		"a row that was forgotten": {
			"UPDATE pgbench_accounts SET abalance = 0 WHERE aid IN (1, 100000)", "✗ 2 rows were not changed exactly once",
		},
		"a gap": {
			"DELETE FROM bbm.batched_background_migration_jobs WHERE ordinal = 5", "✗ 9 jobs, 0 not finished, 1 gaps or overlaps",
		},
		"an overlap": {
			"UPDATE bbm.batched_background_migration_jobs SET after_value = '15000' WHERE ordinal = 3", "✗ 10 jobs, 0 not finished, 1 gaps or overlaps",
		},
		"no end": {
			"DELETE FROM bbm.batched_background_migration_jobs WHERE ordinal = 10", "✗ 9 jobs, 0 not finished, 0 gaps or overlaps",
		},
		"no beginning": {
			"DELETE FROM bbm.batched_background_migration_jobs WHERE ordinal = 1", "✗ 9 jobs, 0 not finished, 1 gaps or overlaps",
		},
		"a job that is not finished": {
			"UPDATE bbm.batched_background_migration_jobs SET status = 'pending' WHERE ordinal = 4", "✗ 10 jobs, 1 not finished",
		},
		"no jobs": {
			"DELETE FROM bbm.batched_background_migration_jobs", "✗ 0 jobs",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := told(t)
			db.Exec(t, test.harm)
			var out bytes.Buffer
			require.Error(t, demo.Prove(t.Context(), &out, db.Conn(t), 1))
			require.Contains(t, out.String(), test.want)
		})
	}
}
