package executor_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// refusePoison makes some rows refuse to change.
const refusePoison = `
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'row % is poison', OLD.id USING ERRCODE = '22000'; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.poison) EXECUTE FUNCTION refuse();`

func patient(o *executor.Options) { o.Settings.MaxAttempts = 2 }

func TestPoisonRowsGoIntoQuarantine(t *testing.T) {
	t.Parallel()
	for name, create := range map[string]string{
		"bigint":    "CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0, poison boolean DEFAULT false); INSERT INTO t (id) SELECT generate_series(1, 5000)",
		"uuid":      "CREATE TABLE t (id uuid PRIMARY KEY, n int NOT NULL DEFAULT 0, poison boolean DEFAULT false); INSERT INTO t (id) SELECT md5(i::text)::uuid FROM generate_series(1, 5000) i",
		"composite": "CREATE TABLE t (id int, b text, n int NOT NULL DEFAULT 0, poison boolean DEFAULT false, PRIMARY KEY (id, b)); INSERT INTO t (id, b) SELECT i % 50, i::text FROM generate_series(1, 5000) i",
	} {
		for _, work := range []string{"bump", "bump_in_go"} {
			t.Run(name+"/"+work, func(t *testing.T) {
				t.Parallel()
				db := database(t)
				db.Exec(t, create+";"+refusePoison)
				db.Exec(t, "UPDATE t SET poison = true WHERE ctid IN (SELECT ctid FROM t ORDER BY md5(t::text) LIMIT 3)")
				r := start(t, db, patient)
				db.Exec(t, "SELECT bbm.enqueue('"+work+"', 't', name => 'm', batch_size => 500, max_quarantined => 3)")
				r.Wake()
				db.WaitFor(t, "SELECT status IN ('finished', 'failed') FROM bbm.batched_background_migrations")
				require.Equal(t, "finished", pgtest.One[string](t, db, "SELECT concat_ws(': ', status, error_message) FROM bbm.batched_background_migrations"))
				require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n <> (NOT poison)::int"))
				require.Equal(t, 3, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.quarantine WHERE error_sqlstate = '22000' AND error_message LIKE 'row % is poison%'"))
				require.Equal(t, 3, pgtest.One[int](t, db, "SELECT quarantined FROM bbm.progress"))

				db.Exec(t, "DROP TRIGGER refuse ON t; SELECT bbm.retry_quarantined('m')")
				r.Wake()
				db.WaitFor(t, "SELECT status = 'finished' FROM bbm.batched_background_migrations")
				require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n <> 1"))
				require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.quarantine"))
			})
		}
	}
}

func TestPoisonRowWithoutRoomFailsTheMigration(t *testing.T) {
	t.Parallel()
	db := database(t)
	db.Exec(t, "CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0, poison boolean DEFAULT false); INSERT INTO t (id) SELECT generate_series(1, 1000); UPDATE t SET poison = id = 777;"+refusePoison)
	r := start(t, db, patient)
	db.Exec(t, "SELECT bbm.enqueue('bump', 't', name => 'm', batch_size => 100)")
	r.Wake()
	db.WaitFor(t, "SELECT status = 'failed' FROM bbm.batched_background_migrations")
	require.Contains(t, pgtest.One[string](t, db, "SELECT error_message FROM bbm.batched_background_migrations"), "key 777")
	require.Equal(t, "22000", pgtest.One[string](t, db, "SELECT error_sqlstate FROM bbm.batched_background_migrations"))

	db.Exec(t, "DROP TRIGGER refuse ON t; SELECT bbm.retry('m')")
	r.Wake()
	db.WaitFor(t, "SELECT status = 'finished' FROM bbm.batched_background_migrations")
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n <> 1"))
}

func TestFailureRateStopsAMigration(t *testing.T) {
	t.Parallel()
	db := database(t)
	db.Exec(t, "CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0, poison boolean DEFAULT true); INSERT INTO t (id) SELECT generate_series(1, 2000);"+refusePoison)
	r := start(t, db, nil)
	db.Exec(t, "SELECT bbm.enqueue('bump', 't', name => 'm', batch_size => 10, max_attempts => 100, max_quarantined => 1000)")
	r.Wake()
	db.WaitFor(t, "SELECT status = 'failed' FROM bbm.batched_background_migrations")
	require.Contains(t, pgtest.One[string](t, db, "SELECT error_message FROM bbm.batched_background_migrations"), "of the first 50 batches")
}

func TestStatementTimeoutSplitsAtOnce(t *testing.T) {
	t.Parallel()
	db := database(t)
	db.Exec(t, `CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t (id) SELECT generate_series(1, 64);
		CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END $$;
		CREATE TRIGGER linger BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION linger()`)
	r := start(t, db, func(o *executor.Options) { o.Settings.StatementTimeout = 400 * time.Millisecond })
	db.Exec(t, "SELECT bbm.enqueue('bump', 't', name => 'm', batch_size => 64)")
	r.Wake()
	db.WaitFor(t, "SELECT status = 'finished' FROM bbm.batched_background_migrations")
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n <> 1"))
	require.Greater(t, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.batched_background_migration_jobs"), 2)
}

func TestPauseBetweenBatches(t *testing.T) {
	t.Parallel()
	for _, work := range []string{"bump", "bump_in_go"} {
		t.Run(work, func(t *testing.T) {
			t.Parallel()
			db := database(t)
			db.Exec(t, "CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t (id) SELECT generate_series(1, 10)")
			r := start(t, db, nil)
			db.Exec(t, "SELECT bbm.enqueue('"+work+"', 't', name => 'm', batch_size => 1, pause => '50 ms')")
			r.Wake()
			db.WaitFor(t, "SELECT status = 'finished' FROM bbm.batched_background_migrations")
			rested := pgtest.One[float64](t, db, "SELECT extract(epoch FROM max(finished_at) - min(finished_at))::float8 FROM bbm.batched_background_migration_jobs")
			require.Greater(t, rested, 0.45)
		})
	}
}

// A single row whose workers die is tried until the cap, and never set aside:
// that it was on hand proves nothing.
func TestRowThatKillsItsWorkersFailsTheMigration(t *testing.T) {
	t.Parallel()
	db := database(t)
	db.Exec(t, `CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t (id) SELECT generate_series(1, 40);
		CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1); RETURN NEW; END $$;
		CREATE TRIGGER die BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.id = 7) EXECUTE FUNCTION die()`)
	r := start(t, db, func(o *executor.Options) {
		o.Settings.MaxAttempts = 1
		o.Settings.TakeoverInterval = 100 * time.Millisecond
	})
	db.Exec(t, "SELECT bbm.enqueue('bump', 't', name => 'm', batch_size => 10, max_quarantined => 100)")
	r.Wake()
	db.WaitFor(t, "SELECT count(*) = 39 FROM t WHERE n = 1")
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.quarantine"))
}
