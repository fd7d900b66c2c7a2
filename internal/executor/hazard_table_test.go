package executor_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// both runs a test with a Work that is one statement and with one in Go.
func both(t *testing.T, test func(t *testing.T, db *pgtest.Database, work string)) {
	t.Helper()
	for _, work := range []string{"bump", "bump_in_go"} {
		t.Run(work, func(t *testing.T) {
			t.Parallel()
			test(t, database(t), work)
		})
	}
}

func TestH10_TypeOfTheKeyChangesInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, typ := range []string{"bigint", "numeric", "text"} {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			both(t, func(t *testing.T, db *pgtest.Database, work string) {
				t.Helper()
				db.Exec(t, "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT generate_series(1, 1000)")
				g := closeGate(t, db, 555)
				start(t, db, nil)
				enqueue(t, db, work, "batch_size => 10")
				g.passes("ALTER TABLE t ALTER id TYPE " + typ)
				ends(t, db, "failed")

				require.Contains(t, failure(t, db), "the key of public.t changed while the migration ran: id was integer and is "+typ)
				nothingHalf(t, db)
			})
		})
	}
}

// nothingHalf checks that what is finished is done, in batches of ten, and nothing else.
func nothingHalf(t *testing.T, db *pgtest.Database) {
	t.Helper()
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n > 1"))
	require.Equal(t, 10*pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE status = 'finished'"), pgtest.One[int](t, db, "SELECT sum(n) FROM t"))
}

func TestH10_IndexOfTheKeyIsDroppedInTheMiddle(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		db.Exec(t, "CREATE TABLE t (id bigint NOT NULL, n int NOT NULL DEFAULT 0); CREATE UNIQUE INDEX t_id ON t (id); INSERT INTO t SELECT generate_series(1, 1000)")
		g := closeGate(t, db, 555)
		start(t, db, nil)
		enqueue(t, db, work, "batch_size => 10, column_name => 'id'")
		g.passes("DROP INDEX t_id")
		ends(t, db, "failed")

		require.Contains(t, failure(t, db), "no usable unique index on (id)")
		nothingHalf(t, db)
		db.Exec(t, "CREATE UNIQUE INDEX ON t (id); SELECT bbm.retry('m')")
		exactlyOnce(t, db)
	})
}

func TestH10_IndexOfTheKeyIsBuiltAnewInTheMiddle(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 1000)
		g := closeGate(t, db, 555)
		start(t, db, nil)
		enqueue(t, db, work, "batch_size => 10")
		g.passes("REINDEX TABLE CONCURRENTLY t")

		exactlyOnce(t, db)
	})
}

func TestH10_IndexOfTheKeyIsDroppedDuringAPause(t *testing.T) {
	t.Parallel()
	db := database(t)
	db.Exec(t, "CREATE TABLE t (id bigint NOT NULL, n int NOT NULL DEFAULT 0); CREATE UNIQUE INDEX t_id ON t (id); INSERT INTO t SELECT generate_series(1, 1000)")
	g := closeGate(t, db, 555)
	r := start(t, db, nil)
	enqueue(t, db, "bump", "batch_size => 10, column_name => 'id'")
	g.pauses(r)
	db.Exec(t, "DROP INDEX t_id; SELECT bbm.resume('m')")
	ends(t, db, "failed")

	require.Contains(t, failure(t, db), "no usable unique index on (id)")
	db.Exec(t, "CREATE UNIQUE INDEX ON t (id); SELECT bbm.retry('m')")
	exactlyOnce(t, db)
}

// idle waits until no worker has a session.
func idle(t *testing.T, db *pgtest.Database) {
	t.Helper()
	db.WaitFor(t, "SELECT NOT EXISTS (SELECT FROM pg_locks WHERE classid IN (7701, 7703) AND "+mine+")")
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE status = 'running'"))
}

func TestH13_BoundaryRowsAreDeletedInTheMiddle(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 1000)
		g := closeGate(t, db, 555)
		start(t, db, nil)
		enqueue(t, db, work, "batch_size => 10, max_value => '1000'")
		g.reached()
		db.Exec(t, "DELETE FROM t WHERE id % 10 = 0 AND id <> 560") // the batch under way may have locked its own
		g.open()

		exactlyOnce(t, db)
	})
}

func TestH13b_RowOfATransactionThatIsOpenAtTheStartIsNotMissed(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 1000)
		db.Exec(t, "DELETE FROM t WHERE id IN (1, 500, 1000)")
		writer := db.Conn(t)
		_, err := writer.Exec(t.Context(), "BEGIN; INSERT INTO t VALUES (1), (500), (1000)")
		require.NoError(t, err)
		start(t, db, nil)
		enqueue(t, db, work, "batch_size => 10")
		waitsBecause(t, db, fmt.Sprintf("waits for transactions that were writing to the table when the migration was to start: pid %d, open for", writer.PgConn().PID()))
		require.Equal(t, "active", pgtest.One[string](t, db, "SELECT status FROM "+migrationsTable))
		// Whoever comes later has the new code already, and is not waited for.
		later := db.Conn(t)
		_, err = later.Exec(t.Context(), "BEGIN; UPDATE t SET n = n WHERE id = 300")
		require.NoError(t, err)
		_, err = writer.Exec(t.Context(), "COMMIT")
		require.NoError(t, err)
		db.WaitFor(t, "SELECT status = 'running' FROM "+migrationsTable)
		_, err = later.Exec(t.Context(), "COMMIT")
		require.NoError(t, err)

		exactlyOnce(t, db)
		require.Equal(t, 1000, pgtest.One[int](t, db, "SELECT sum(n) FROM t"))
	})
}

func TestH13b_PreparedTransactionIsWaitedForAndNamed(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 100)
	db.Exec(t, "DELETE FROM t WHERE id = 1")
	db.Exec(t, "BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION '"+db.Name+"'")
	start(t, db, nil)
	enqueue(t, db, "bump", "")
	waitsBecause(t, db, "prepared transaction "+db.Name)
	db.Exec(t, "COMMIT PREPARED '"+db.Name+"'")

	exactlyOnce(t, db)
	require.Equal(t, 100, pgtest.One[int](t, db, "SELECT sum(n) FROM t"))
}

func TestH14_CollationChangesDuringAPause(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"version":   "UPDATE " + migrationsTable + " SET key_collation = 'default 1.0'",
		"collation": `ALTER TABLE t ALTER id TYPE text COLLATE "POSIX"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := database(t)
			db.Exec(t, "CREATE TABLE t (id text PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT i FROM generate_series(1, 1000) i")
			g := closeGate(t, db, 555)
			r := start(t, db, nil)
			enqueue(t, db, "bump", "batch_size => 10")
			g.pauses(r)
			db.Exec(t, change)
			db.Exec(t, "SELECT bbm.resume('m')")
			ends(t, db, "failed")

			require.Contains(t, failure(t, db), "the collation of public.t's key changed while the migration ran")
		})
	}
}

func TestH14b_RowLevelSecurityIsAnErrorAndHidesNothing(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 100)
		role := strings.TrimPrefix(db.Name, "t_")
		db.Superuser(t).Exec(t, fmt.Sprintf(`CREATE ROLE %[1]q LOGIN; SELECT bbm.grant_role('%[1]s', 'worker'); GRANT ALL ON t TO %[1]q;
			ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY half ON t USING (id < 50)`, role))
		t.Cleanup(func() {
			ctx := context.WithoutCancel(t.Context())
			conn, err := pgx.Connect(ctx, db.Superuser(t).URL)
			require.NoError(t, err)
			defer conn.Close(ctx) //nolint:errcheck // the database goes away
			_, err = conn.Exec(ctx, fmt.Sprintf("DROP OWNED BY %[1]q; DROP ROLE %[1]q", role))
			require.NoError(t, err)
		})
		startAs(t, db.As(t, role), func(o *executor.Options) { o.Settings.MaxAttempts = 1 })
		enqueue(t, db, work, "")
		ends(t, db, "failed")

		require.Contains(t, failure(t, db), "42501")
		require.Contains(t, failure(t, db), "row-level security")
		require.Zero(t, pgtest.One[int](t, db, "SELECT sum(n) FROM t"))
	})
}

func TestH15_TableIsReplacedInTheMiddle(t *testing.T) {
	t.Parallel()
	const copied = "CREATE TABLE copy (LIKE t INCLUDING ALL); INSERT INTO copy SELECT id FROM t; "
	for name, c := range map[string]struct{ before, statements, want string }{
		"swapped":   {copied, "BEGIN; LOCK t; ALTER TABLE t RENAME TO old; ALTER TABLE copy RENAME TO t; COMMIT", "was replaced while the migration ran"},
		"recreated": {copied, "BEGIN; LOCK t; DROP TABLE t; ALTER TABLE copy RENAME TO t; COMMIT", "was replaced while the migration ran"},
		"renamed":   {"", "ALTER TABLE t RENAME TO old", "does not exist"},
		"dropped":   {"", "DROP TABLE t", "does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			both(t, func(t *testing.T, db *pgtest.Database, work string) {
				t.Helper()
				table(t, db, 1000)
				g := closeGate(t, db, 555)
				r := start(t, db, nil)
				enqueue(t, db, work, "batch_size => 10")
				g.reached()
				db.Exec(t, c.before+"SELECT")
				g.passes(c.statements)
				ends(t, db, "failed")

				require.Contains(t, failure(t, db), c.want)
				r.logs(c.want)
				if c.before != "" {
					require.Zero(t, pgtest.One[int](t, db, "SELECT sum(n) FROM t"), "rows of another table")
				}
			})
		})
	}
}

func TestH15_TruncateInTheMiddleIsHarmless(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 1000)
		g := closeGate(t, db, 555)
		start(t, db, nil)
		enqueue(t, db, work, "batch_size => 10")
		g.passes("TRUNCATE t")

		exactlyOnce(t, db)
	})
}
