package control_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// What is read to show progress stays the same while a migration goes on: neither its
// finished jobs nor the workers that it had before make it more.
func TestReadingProgressDoesNotGrowWithHistory(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	withoutAutovacuum(t, db)
	startMigration(t, db, "m")
	db.Exec(t, "UPDATE bbm.batched_background_migrations SET total_tuple_count = 1000000")
	store, conn := control.Store{}, db.Conn(t)
	percent := 0.0
	for owner := range int32(300) {
		now, err := store.Count(t.Context(), conn, 1, owner+1, "m", control.Tally{Batches: 1, Keys: 100, Rows: 90})
		require.NoError(t, err)
		require.Greater(t, *now, percent)
		percent = *now
		if owner%100 == 99 {
			db.Exec(t, "UPDATE bbm.counters SET updated_at = clock_timestamp() - interval '1 hour'")
		}
	}
	require.LessOrEqual(t, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.counters"), 200, "workers that are gone are folded")
	all, err := store.Progress(t.Context(), conn, control.Selection{})
	require.NoError(t, err)
	require.Equal(t, []int64{300, 30000, 27000}, []int64{all[0].Batches, all[0].Keys, all[0].Rows}, "nothing is lost")
	require.InDelta(t, 3, all[0].Percent, 0.001)

	const chain = `INSERT INTO bbm.batched_background_migration_jobs (batched_background_migration_id, ordinal, max_value, batch_size, status, finished_at)
		SELECT 1, i, i, 1, 'finished', clock_timestamp() FROM generate_series($1::int, $2::int) i`
	db.Exec(t, chain, 1, 1000)
	db.Exec(t, vacuumProgress)
	few := pagesRead(t, db)
	db.Exec(t, chain, 1001, 50000)
	db.Exec(t, vacuumProgress)
	require.Positive(t, few)
	require.LessOrEqual(t, pagesRead(t, db), few+10)
}

// A total that turns out to be too low, or too high, never makes the progress fall.
func TestProgressDoesNotFallWhenTheEstimateChanges(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "m")
	store, conn := control.Store{}, db.Conn(t)
	read := func() float64 {
		all, err := store.Progress(t.Context(), conn, control.Selection{})
		require.NoError(t, err)
		return all[0].Percent
	}
	count := func(owner int32, keys int64) {
		_, err := store.Count(t.Context(), conn, 1, owner, "m", control.Tally{Batches: 1, Keys: keys})
		require.NoError(t, err)
	}
	count(1, 500)
	require.InDelta(t, 50, read(), 0.001)
	require.NoError(t, store.SetTotal(t.Context(), conn, 1, 10000))
	require.InDelta(t, 50, read(), 0.001)
	count(2, 1500)
	require.InDelta(t, 50, read(), 0.001, "20 % of what is known now")
	count(1, 6000)
	require.InDelta(t, 80, read(), 0.001)
	require.NoError(t, store.SetTotal(t.Context(), conn, 1, -1))
	count(2, 1)
	require.InDelta(t, 80, read(), 0.001, "nobody knows any more")
	require.NoError(t, store.SetTotal(t.Context(), conn, 1, 5000))
	count(2, 1)
	require.InDelta(t, 99.9, read(), 0.001, "not 100 before it has finished")
}

// vacuumProgress vacuums and analyzes all that the progress is read from.
const vacuumProgress = "VACUUM ANALYZE bbm.batched_background_migrations, bbm.batched_background_migration_jobs, bbm.counters, bbm.transitions, bbm.quarantine"

// withoutAutovacuum keeps autovacuum from bbm's tables: between two looks it would give the small ones
// statistics, by which they are then read whole instead of by their index.
func withoutAutovacuum(t *testing.T, db *pgtest.Database) {
	t.Helper()
	db.Exec(t, `DO $$ DECLARE name regclass; BEGIN
		FOR name IN SELECT oid FROM pg_class WHERE relnamespace = 'bbm'::regnamespace AND relkind = 'r' LOOP
			EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', name);
		END LOOP;
	END $$`)
}

// pagesRead is how many pages a look at the progress touches.
func pagesRead(t *testing.T, db *pgtest.Database) int {
	t.Helper()
	var text []byte
	conn := db.Conn(t)
	for range 2 { // the first look fills the session's caches
		require.NoError(t, conn.QueryRow(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+control.ProgressSQL, nil, 0, 3, false).Scan(&text))
	}
	var plans []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		}
	}
	require.NoError(t, json.Unmarshal(text, &plans))
	return plans[0].Plan.Hit + plans[0].Plan.Read
}
