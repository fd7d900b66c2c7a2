package control_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/explain"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func setStatus(t *testing.T, db *pgtest.Database, name, status string) {
	t.Helper()
	db.Exec(t, "UPDATE bbm.batched_background_migrations SET status = $2 WHERE name = $1", name, status)
}

func unsettled(t *testing.T, db *pgtest.Database) []string {
	t.Helper()
	return pgtest.Column[string](t, db, "SELECT name FROM bbm.batched_background_migrations WHERE unsettled ORDER BY id")
}

func scanned(t *testing.T, db *pgtest.Database) (names []string) {
	t.Helper()
	found, err := control.Store{}.Scan(t.Context(), db.Conn(t))
	require.NoError(t, err)
	for _, c := range found {
		names = append(names, c.Name+" "+c.Status)
	}
	return names
}

// Whoever stops a migration that somebody may be at has it looked at, by a bbmd of before as well.
func TestAMigrationThatIsStoppedIsUnsettled(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "m")
	db.Exec(t, "SELECT bbm.enqueue('w', 'm', name => 'new', paused => true), bbm.enqueue('w', 'm', name => 'waiting')")
	setStatus(t, db, "waiting", "paused")
	require.Empty(t, unsettled(t, db), "nobody has claimed anything of what has not started")
	for _, status := range []string{"paused", "failed", "cancelled"} {
		for _, from := range []string{"running", "active"} {
			name := status + "_" + from
			startMigration(t, db, name)
			setStatus(t, db, name, "active")
			setStatus(t, db, name, from)
			setStatus(t, db, name, status)
			require.Equal(t, []string{name}, unsettled(t, db))
			require.Equal(t, []string{"m running", name + " " + status}, scanned(t, db))
			settled, err := control.Store{}.Settle(t.Context(), db.Conn(t), pgtest.One[int32](t, db, "SELECT id FROM bbm.batched_background_migrations WHERE name = $1", name))
			require.NoError(t, err)
			require.True(t, settled)
			require.Equal(t, []string{"m running"}, scanned(t, db))
		}
	}

	setStatus(t, db, "m", "paused")
	setStatus(t, db, "m", "active")
	require.Empty(t, unsettled(t, db), "it is looked at as what it is")
	setStatus(t, db, "m", "failed")
	setStatus(t, db, "m", "cancelled")
	require.Equal(t, []string{"m"}, unsettled(t, db))
}

// The mark goes when no job is running and none can be claimed any more, and not before.
func TestAStoppedMigrationIsSettledOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "m")
	claimJobs(t, db, 2)
	conn, other := db.Conn(t), db.Conn(t)
	settle := func() bool {
		settled, err := control.Store{}.Settle(t.Context(), conn, 1)
		require.NoError(t, err)
		return settled
	}
	require.False(t, settle(), "it is running")
	setStatus(t, db, "m", "paused")
	require.False(t, settle(), "its jobs are")
	finishJobs(t, db, 2)

	for why, statement := range map[string]string{
		"a claim under way":         "SELECT pg_advisory_xact_lock(7702, 1)",
		"a worker that has a place": "SELECT pg_advisory_xact_lock(7703, 64 + 3)",
		"somebody resumes it":       "UPDATE bbm.batched_background_migrations SET status = 'active' WHERE id = 1",
	} {
		tx, err := other.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), statement)
		require.NoError(t, err)
		require.False(t, settle(), why)
		require.NoError(t, tx.Rollback(t.Context()))
	}
	_, err := other.Exec(t.Context(), "SELECT pg_advisory_lock(7703, 2 * 64), pg_advisory_lock(7702, 2)")
	require.NoError(t, err)
	require.True(t, settle(), "it is another's place")
	require.False(t, settle())
	require.Empty(t, scanned(t, db))
}

// Both rest on a statement that sees what was committed since the one before it, whatever the database's default is.
func TestWhatIsTakenOverIsSeenAsOfNow(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "m")
	claimJobs(t, db, 2)
	setStatus(t, db, "m", "paused")
	for _, table := range []string{"batched_background_migrations", "batched_background_migration_jobs"} {
		db.Exec(t, fmt.Sprintf(`CREATE OR REPLACE FUNCTION public.demand_level() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN
			  IF current_setting('transaction_isolation') <> 'read committed' THEN RAISE 'it is %%', current_setting('transaction_isolation'); END IF;
			  RETURN NEW;
			END $$; CREATE TRIGGER demand_level BEFORE UPDATE ON bbm.%s FOR EACH ROW EXECUTE FUNCTION public.demand_level()`, table))
	}
	conn, store := db.Conn(t), control.Store{}
	_, err := conn.Exec(t.Context(), "SET default_transaction_isolation = 'repeatable read'")
	require.NoError(t, err)
	jobs, alive, err := store.TakeOver(t.Context(), conn, 1, owner)
	require.NoError(t, err)
	require.False(t, alive)
	require.EqualValues(t, 2, jobs)
	settled, err := store.Settle(t.Context(), conn, 1)
	require.NoError(t, err)
	require.True(t, settled)
}

// An upgrade finds what was left before, and nothing else.
func TestAnUpgradeMarksWhatADeadWorkerHasLeft(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	conn := db.Conn(t)
	require.NoError(t, control.InstallUpTo(t.Context(), conn, 6))
	for i, status := range []string{"running", "paused", "failed", "cancelled"} {
		for _, left := range []string{"pending", "running"} {
			name := fmt.Sprintf("%s_%s", status, left)
			startMigration(t, db, name)
			db.Exec(t, `INSERT INTO bbm.batched_background_migration_jobs (batched_background_migration_id, ordinal, max_value, batch_size, status, owner)
				SELECT id, 1, 1, 1, $2::text, CASE WHEN $2 = 'running' THEN $3::int END FROM bbm.batched_background_migrations WHERE name = $1`, name, left, i+1)
			if status != "running" {
				setStatus(t, db, name, status)
			}
		}
	}
	before := pgtest.One[int](t, db, "SELECT count(*) FROM bbm.transitions")
	require.NoError(t, control.Install(t.Context(), conn, ""))
	require.Equal(t, []string{"paused_running", "failed_running", "cancelled_running"}, unsettled(t, db))
	require.Equal(t, before, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.transitions"))
}

// Neither those that were ever stopped make a scan dearer, nor what has finished in them since the oldest snapshot.
func TestAScanDoesNotGrowWithWhatWasStopped(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "m")
	conn, store := db.Conn(t), control.Store{}
	counted := explain.On(conn)
	cost := func(look func() error) explain.Cost {
		for range 2 { // the first fills the session's caches
			counted.Take()
			require.NoError(t, pgx.BeginFunc(t.Context(), conn, func(pgx.Tx) error { return look() }))
		}
		return counted.Take()
	}
	scan := func() error { _, err := store.Scan(t.Context(), counted); return err }
	few := cost(scan).Buffers
	const stopped = 2000
	db.Exec(t, `INSERT INTO bbm.batched_background_migrations (name, job_signature_name, table_name, table_oid, key_columns, key_types, max_value)
		SELECT 's' || i, 'w', 'm', i, '{id}', '{bigint}', '10' FROM generate_series(1, $1::int) i`, stopped)
	db.Exec(t, "UPDATE bbm.batched_background_migrations SET status = (ARRAY['paused', 'failed', 'cancelled'])[1 + id % 3] WHERE name <> 'm'")
	require.Len(t, unsettled(t, db), stopped)
	require.Len(t, scanned(t, db), 1+control.ScanLimit)
	db.Exec(t, "UPDATE bbm.batched_background_migrations SET unsettled = false")
	db.Exec(t, "VACUUM (ANALYZE) bbm.batched_background_migrations")
	require.LessOrEqual(t, cost(scan).Buffers, few+10)

	db.Exec(t, "VACUUM (ANALYZE) bbm.batched_background_migration_jobs")
	holdSnapshot(t, db)
	const jobs = 20_000 // they lie on hundreds of pages
	claimJobs(t, db, jobs)
	finishJobs(t, db, jobs-5)
	setStatus(t, db, "m", "paused")
	require.Len(t, scanned(t, db), 1)
	require.LessOrEqual(t, cost(scan).Buffers, 80)
	of := cost(func() error { _, err := store.Settle(t.Context(), counted, 1); return err })
	require.Greater(t, of.Statements, 2)
	require.LessOrEqual(t, of.Buffers, 80*of.Statements)
	require.Equal(t, []string{"m"}, unsettled(t, db))
}
