package control_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/explain"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

const owner = 7

// claimJobs appends jobs to the chain of the only migration, as a claim does.
func claimJobs(t *testing.T, db *pgtest.Database, jobs int) {
	t.Helper()
	db.Exec(t, `INSERT INTO bbm.batched_background_migration_jobs (batched_background_migration_id, ordinal, max_value, batch_size, owner)
		SELECT 1, last + i, last + i, 1, $1 FROM generate_series(1, $2::int) i,
			(SELECT coalesce(max(ordinal), 0) AS last FROM bbm.batched_background_migration_jobs) l ORDER BY i`, owner, jobs)
}

// finishJobs finishes the running jobs up to an ordinal, as their fences do, and counts them.
func finishJobs(t *testing.T, db *pgtest.Database, upTo int) {
	t.Helper()
	db.Exec(t, `UPDATE bbm.batched_background_migration_jobs SET status = 'finished', owner = NULL WHERE ordinal <= $1 AND status = 'running'`, upTo)
	_, err := control.Store{}.Count(t.Context(), db.Conn(t), 1, owner, "m", control.Tally{Batches: 1, Keys: 1})
	require.NoError(t, err)
}

// holdSnapshot keeps the server from cleaning up until the test has ended.
func holdSnapshot(t *testing.T, db *pgtest.Database) {
	t.Helper()
	_, err := db.Conn(t).Exec(t.Context(), "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM bbm.batched_background_migrations")
	require.NoError(t, err)
}

// What looks for open jobs must not pass over those that have finished since the
// oldest snapshot: a report that runs for hours would make each look slower than the one before.
func TestOpenJobsAreFoundBesideAnOldSnapshot(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "m")
	db.Exec(t, "VACUUM (ANALYZE) bbm.batched_background_migration_jobs")
	holdSnapshot(t, db)
	const jobs, few = 20_000, 80 // 20,000 jobs lie on hundreds of pages
	claimJobs(t, db, jobs)
	finishJobs(t, db, jobs-5)

	conn, store := db.Conn(t), control.Store{}
	counted := explain.On(conn)
	for name, look := range map[string]func() error{
		"scan":      func() error { _, err := store.Scan(t.Context(), counted); return err },
		"progress":  func() error { _, err := store.Progress(t.Context(), counted, control.Selection{}); return err },
		"open jobs": func() error { _, err := store.OpenJobs(t.Context(), counted, 1, 10); return err },
		"passed":    func() error { _, _, err := store.Passed(t.Context(), counted, 1); return err },
		"take-over": func() error { _, _, err := store.TakeOver(t.Context(), counted, 1, owner); return err },
		"finish":    func() error { _, err := store.Finish(t.Context(), counted, 1); return err },
		"count": func() error {
			_, err := store.Count(t.Context(), counted, 1, owner, "m", control.Tally{Batches: 1, Keys: 1})
			return err
		},
	} {
		require.NoError(t, pgx.BeginFunc(t.Context(), conn, func(pgx.Tx) error { return look() }), name)
		cost := counted.Take()
		require.Positive(t, cost.Buffers, name)
		require.LessOrEqual(t, cost.Buffers, few*cost.Statements, name)
	}
}

// The mark that makes that so must never pass over a job that is open.
func TestOpenJobsAreAllFound(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "m")
	conn, store := db.Conn(t), control.Store{}
	open := func() (ordinals []int64) {
		jobs, err := store.OpenJobs(t.Context(), conn, 1, 100)
		require.NoError(t, err)
		found, err := store.Scan(t.Context(), conn)
		require.NoError(t, err)
		require.Equal(t, len(jobs) > 0, found[0].HasOpenJobs)
		for _, j := range jobs {
			ordinals = append(ordinals, *j.Ordinal)
		}
		return ordinals
	}
	mark := func() int64 { return pgtest.One[int64](t, db, "SELECT max(running_from) FROM bbm.counters") }

	claimJobs(t, db, 10)
	finishJobs(t, db, 4)
	require.Equal(t, []int64{5, 6, 7, 8, 9, 10}, open())
	require.Equal(t, pgtest.One[int64](t, db, "SELECT id FROM bbm.batched_background_migration_jobs WHERE ordinal = 5"), mark())

	// A claim that is not committed yet has taken its ids already when the mark passes the end of the chain.
	claim, err := db.Conn(t).Begin(t.Context())
	require.NoError(t, err)
	_, err = claim.Exec(t.Context(), `INSERT INTO bbm.batched_background_migration_jobs (batched_background_migration_id, ordinal, max_value, batch_size, owner)
		SELECT 1, i, i, 1, 7 FROM generate_series(11, 12) i`)
	require.NoError(t, err)
	finishJobs(t, db, 10)
	require.Empty(t, open())
	require.NoError(t, claim.Commit(t.Context()))
	require.Equal(t, []int64{11, 12}, open())

	// What comes back behind the mark: queued again, claimed alone, orphaned, given back, failed.
	finishJobs(t, db, 12)
	for _, ordinal := range []int{2, 7, 9} {
		require.NoError(t, store.Requeue(t.Context(), conn, pgtest.One[int64](t, db, "SELECT id FROM bbm.batched_background_migration_jobs WHERE ordinal = $1", ordinal), "wrong"))
	}
	require.Equal(t, []int64{2, 7, 9}, open())
	job, err := store.ClaimCarefully(t.Context(), conn, 1, owner)
	require.NoError(t, err)
	require.Equal(t, "2", job.End)
	finishJobs(t, db, 0)
	require.ElementsMatch(t, []int64{2, 7, 9}, open())
	back, err := store.GiveBack(t.Context(), conn, 1, owner)
	require.NoError(t, err)
	require.Equal(t, int64(1), back)
	_, err = store.ClaimCarefully(t.Context(), conn, 1, owner)
	require.NoError(t, err)
	orphans, alive, err := store.TakeOver(t.Context(), conn, 1, owner)
	require.NoError(t, err)
	require.False(t, alive)
	require.Equal(t, int64(1), orphans)
	require.ElementsMatch(t, []int64{2, 7, 9}, open())
	db.Exec(t, "UPDATE bbm.batched_background_migration_jobs SET status = 'failed' WHERE ordinal = 9")
	require.ElementsMatch(t, []int64{2, 7, 9}, open())
	finished, err := store.Finish(t.Context(), conn, 1)
	require.NoError(t, err)
	require.False(t, finished)
}
