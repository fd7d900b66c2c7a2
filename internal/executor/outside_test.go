package executor_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// A disk without room is nobody's fault: the migration says so, blames no row, however few attempts a batch
// has, and goes on by itself.
func TestDiskThatIsFullIsWaitedFor(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 1000)
		db.Exec(t, `CREATE TABLE disk AS SELECT true AS is_full;
			CREATE SEQUENCE tries;
			CREATE FUNCTION extend() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN
			  PERFORM nextval('tries');
			  IF EXISTS (SELECT FROM disk WHERE is_full) THEN
			    RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full', HINT = 'Check free disk space.';
			  END IF;
			  RETURN NULL;
			END $$;
			CREATE TRIGGER extend BEFORE UPDATE ON t FOR EACH STATEMENT EXECUTE FUNCTION extend()`)
		r := start(t, db, nil)
		enqueue(t, db, work, "batch_size => 10, max_attempts => 1, max_quarantined => 1000")
		waitsBecause(t, db, "waits for room on the server's disk: could not extend file: No space left on device; hint: Check free disk space.")
		// As many failures as would fail it, were they of another kind.
		db.Exec(t, "UPDATE "+jobsTable+" SET transients = 100 WHERE status = 'pending'")
		hurry(t, db)
		db.WaitFor(t, "SELECT last_value >= $1 FROM tries", pgtest.One[int64](t, db, "SELECT last_value FROM tries")+3)
		require.Equal(t, "running", pgtest.One[string](t, db, "SELECT status FROM "+migrationsTable))
		r.logs("could not extend file")
		db.Exec(t, "UPDATE disk SET is_full = false")
		hurry(t, db)

		exactlyOnce(t, db)
		require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.quarantine"))
		require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE ordinal IS NULL OR attempts <> 1"))
	})
}

// A column that the Work needs is gone: no row is to blame, and none is set aside. When it is back
// and somebody retries, the migration goes on where it was.
func TestColumnGoesAndComesBack(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 1000)
		g := closeGate(t, db, 555)
		start(t, db, nil)
		enqueue(t, db, work, "batch_size => 10, max_quarantined => 1000")
		g.passes("ALTER TABLE t RENAME n TO other")
		ends(t, db, "failed")

		require.Contains(t, failure(t, db), `column "n"`)
		require.Contains(t, failure(t, db), "42703")
		require.Contains(t, failure(t, db), "put back what is missing and retry")
		require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.quarantine"))
		require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE ordinal IS NULL"), "splits")
		db.Exec(t, "ALTER TABLE t RENAME other TO n; SELECT bbm.retry('m')")
		exactlyOnce(t, db)
	})
}

// A function that some rows make fail for want of a table is another matter: these rows are found.
func TestRowThatNeedsWhatIsMissingIsFound(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 100)
	db.Exec(t, `CREATE FUNCTION looks() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
		  EXECUTE 'TABLE nowhere';
		  RETURN NEW;
		END $$;
		CREATE TRIGGER looks BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.id = 55) EXECUTE FUNCTION looks()`)
	start(t, db, nil)
	enqueue(t, db, "bump", "batch_size => 10, max_attempts => 1, max_quarantined => 1")
	ends(t, db, "finished")

	require.Equal(t, []string{"55"}, pgtest.Column[string](t, db, "SELECT key FROM bbm.quarantine"))
}

// The primary key has other columns than when the migration began.
func TestPrimaryKeyIsMadeAnewInTheMiddle(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, after, want string }{
		"wider":    {"id", "id, n", `it was (id) and is (id, n)`},
		"narrower": {"id, n", "id", `it was (id, n) and is (id)`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := database(t)
			db.Exec(t, "CREATE TABLE t (id bigint NOT NULL, n int NOT NULL DEFAULT 0, PRIMARY KEY ("+c.before+")); INSERT INTO t SELECT generate_series(1, 1000)")
			g := closeGate(t, db, 555)
			start(t, db, nil)
			enqueue(t, db, "bump", "batch_size => 10")
			g.passes("ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (" + c.after + ")")
			ends(t, db, "failed")

			require.Contains(t, failure(t, db), "the key of public.t changed while the migration ran: "+c.want)
		})
	}
}

// The server's clock was set back by hours after jobs were given back: they are due all the same.
func TestJobsAreDueAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 1000)
	g := closeGate(t, db, 555)
	r := start(t, db, nil)
	enqueue(t, db, "bump", "batch_size => 10")
	g.pauses(r)
	db.Exec(t, "UPDATE "+jobsTable+" SET next_attempt_at = clock_timestamp() + interval '3 hours' WHERE status = 'pending'")
	require.NotZero(t, pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE status = 'pending'"))
	db.Exec(t, "SELECT bbm.resume('m')")

	exactlyOnce(t, db)
}
