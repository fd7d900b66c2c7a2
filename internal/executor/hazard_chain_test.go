package executor_test

import (
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// claimByHand is the block claim on the table t of [table], without its lock.
func claimByHand() string {
	const end = "SELECT x.id::text FROM public.t x WHERE x.id %s %s::bigint AND x.id <= w.stop::bigint ORDER BY x.id OFFSET $3::int - 1 LIMIT 1"
	return control.NewStore("").ClaimSQL(control.Lookups{FirstEnd: fmt.Sprintf(end, ">=", "w.first"), NextEnd: fmt.Sprintf(end, ">", "w.hi"), Start: "NULL"})
}

// running starts migration m by hand, so that only the test claims, and returns its id.
func running(t *testing.T, db *pgtest.Database, rows int) int32 {
	t.Helper()
	table(t, db, rows)
	db.Exec(t, "SELECT bbm.enqueue('bump', 't', name => 'm', batch_size => 10)")
	id := pgtest.One[int32](t, db, "SELECT id FROM "+migrationsTable)
	ok, err := control.NewStore("").Start(t.Context(), db.Conn(t), id, control.Target{
		Table: "public.t", OID: pgtest.One[uint32](t, db, "SELECT 't'::regclass::oid"), KeyColumns: []string{"id"}, KeyTypes: []string{"bigint"},
		WorkVersion: 1, MinValue: new("1"), MaxValue: new(strconv.Itoa(rows)),
	})
	require.NoError(t, err)
	require.True(t, ok)
	return id
}

// claim runs a claim by hand and returns how many jobs it made.
func claim(t *testing.T, db control.DB, migration int32, owner, size, blocks int) (int64, error) {
	t.Helper()
	tag, err := db.Exec(t.Context(), claimByHand(), migration, owner, size, blocks)
	return tag.RowsAffected(), err
}

func conflict(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "23505"
}

func TestH1_AClaimThatCollidesTakesNothing(t *testing.T) {
	t.Parallel()
	db := database(t)
	m := running(t, db, 1000)
	first, second := db.Conn(t), db.Conn(t)

	// The second walks the same keys in larger steps and waits for the first at
	// the first ordinal; were the surplus of its shorter block kept, it would lie over the first's.
	tx, err := first.Begin(t.Context())
	require.NoError(t, err)
	_, err = claim(t, tx, m, 1, 10, 8)
	require.NoError(t, err)
	collided := make(chan error, 1)
	go func() {
		_, err := claim(t, second, m, 2, 150, 2)
		collided <- err
	}()
	db.WaitFor(t, "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid = $1)", second.PgConn().PID())
	require.NoError(t, tx.Commit(t.Context()))

	require.True(t, conflict(<-collided), "a claim that collides is undone whole")
	require.Equal(t, []int64{8}, pgtest.Column[int64](t, db, "SELECT count(*) FROM "+jobsTable+" GROUP BY owner"))
}

func TestH1_ClaimersWithoutTheLockTile(t *testing.T) {
	t.Parallel()
	db := database(t)
	m := running(t, db, 4000)
	done := make(chan error)
	for owner, size := range []int{7, 20, 60, 150} {
		conn := db.Conn(t)
		go func() {
			for {
				n, err := claim(t, conn, m, owner+1, size, 8-2*owner)
				if (err != nil && !conflict(err)) || (err == nil && n == 0) {
					done <- err
					return
				}
			}
		}()
	}
	for range 4 {
		require.NoError(t, <-done)
	}
	start(t, db, watch(soon)) // the owners are dead

	exactlyOnce(t, db)
}

func TestH2_OrdinalAndEndOfAJobAreFixed(t *testing.T) {
	t.Parallel()
	db := database(t)
	m := running(t, db, 100)
	conn := db.Conn(t)
	n, err := claim(t, conn, m, 1, 10, 3)
	require.NoError(t, err)
	require.EqualValues(t, 3, n)

	refused := map[string]string{
		"INSERT INTO %s (batched_background_migration_id, ordinal, max_value, batch_size, owner) SELECT batched_background_migration_id, 3, '31', 1, 1 FROM %[1]s LIMIT 1": "23505",
		"UPDATE %s SET ordinal = 4 WHERE ordinal = 3":                         "55000",
		"UPDATE %s SET ordinal = NULL WHERE ordinal = 3":                      "55000",
		"UPDATE %s SET max_value = '25' WHERE ordinal = 3":                    "55000",
		"UPDATE %s SET batched_background_migration_id = 0":                   "55000",
		"DELETE FROM %s WHERE ordinal = 3":                                    "55000",
		"UPDATE %s SET status = 'pending' WHERE ordinal = 3":                  "23514",
		"UPDATE %s SET owner = NULL WHERE ordinal = 3":                        "23514",
		"UPDATE %s SET status = 'done', owner = NULL WHERE ordinal = 3":       "23514",
		"UPDATE bbm.batched_background_migrations SET max_value = '90' -- %s": "55000",
	}
	for sql, want := range refused {
		_, err := conn.Exec(t.Context(), fmt.Sprintf(sql, jobsTable))
		var pgErr *pgconn.PgError
		require.ErrorAs(t, err, &pgErr, sql)
		require.Equal(t, want, pgErr.Code, "%s: %s", sql, pgErr.Message)
	}
}

// splitByHand splits a job in two as the protocol says: the original row keeps
// its id, its ordinal and its end, and the new row, without an ordinal, the lower half.
func splitByHand(t *testing.T, db *pgtest.Database, ordinal int, middle string) {
	t.Helper()
	db.Exec(t, `WITH old AS (SELECT * FROM `+jobsTable+` WHERE ordinal = $1), upper AS (
		UPDATE `+jobsTable+` j SET after_value = $2, status = 'pending', owner = NULL FROM old WHERE j.id = old.id)
		INSERT INTO `+jobsTable+` (batched_background_migration_id, after_value, min_value, max_value, batch_size, status)
		SELECT batched_background_migration_id, after_value, min_value, $2, batch_size, 'pending' FROM old`, ordinal, middle)
}

func TestH2_TheChainGoesOnAfterItsGreatestOrdinal(t *testing.T) {
	t.Parallel()
	db := database(t)
	m := running(t, db, 1000)
	_, err := claim(t, db.Conn(t), m, 1, 100, 3)
	require.NoError(t, err)
	// The rows that split off have the greatest ids, and the smaller ends; as
	// text, '1000' is the smallest of all.
	splitByHand(t, db, 3, "250")
	splitByHand(t, db, 3, "275")
	splitByHand(t, db, 1, "50")
	start(t, db, watch(soon))
	ends(t, db, "finished")

	onlyOnce(t, db)
	require.Equal(t, 300, pgtest.One[int](t, db, "SELECT max_value::int FROM "+jobsTable+" WHERE ordinal = 3"))
	require.Equal(t, 3, pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE ordinal IS NULL"))
	require.Equal(t, 1000, pgtest.One[int](t, db, `SELECT sum(max_value::int - coalesce(after_value::int, 0)) FROM `+jobsTable))
}

// The last job of the chain is split, and the chain goes on behind it: the
// upper half kept its place and its end.
func TestH2b_TailIsSplit(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 1000)
		poison(t, db)
		g := closeGate(t, db, 5)
		start(t, db, nil)
		enqueue(t, db, work, "batch_size => 10, max_attempts => 1, max_quarantined => 2")
		g.reached()
		holder := db.Conn(t) // from here on nobody claims
		_, err := holder.Exec(t.Context(), "SELECT pg_advisory_lock(7702, id) FROM "+migrationsTable)
		require.NoError(t, err)
		tail := pgtest.One[int](t, db, "SELECT max(max_value::int) FROM "+jobsTable)
		poison(t, db, tail-9, tail)
		g.open()
		db.WaitFor(t, "SELECT EXISTS (SELECT FROM "+jobsTable+" WHERE ordinal IS NULL)")
		require.Equal(t, tail, pgtest.One[int](t, db, "SELECT max(max_value::int) FROM "+jobsTable), "nobody has claimed")
		_, err = holder.Exec(t.Context(), "SELECT pg_advisory_unlock_all()")
		require.NoError(t, err)
		ends(t, db, "finished")

		require.Equal(t, []int{tail - 9, tail}, pgtest.Column[int](t, db, "SELECT id FROM t WHERE n <> 1 ORDER BY id"))
		require.Equal(t, []int{tail - 9, tail}, pgtest.Column[int](t, db, "SELECT key::int FROM bbm.quarantine ORDER BY 1"))
		tiles(t, db)
	})
}

func TestH2c_BatchesHaveTheSizeThatWasAsked(t *testing.T) {
	t.Parallel()
	tables := map[string]struct{ create, key, cast string }{
		// As text 1000 sorts before 2, so that a look-up in text order shows at once.
		"bigint": {"CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT i * i FROM generate_series(1, 1005) i", "id", "%s::bigint"},
		"text":   {"CREATE TABLE t (id text PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT i FROM generate_series(1, 1005) i", "id", "%s"},
		"composite": {
			"CREATE TABLE t (a int, b bigint, n int NOT NULL DEFAULT 0, PRIMARY KEY (a, b)); INSERT INTO t SELECT i % 11, i FROM generate_series(1, 1005) i",
			"(a, b)", "((%[1]s::jsonb->>0)::int, (%[1]s::jsonb->>1)::bigint)",
		},
	}
	for name, c := range tables {
		for _, work := range []string{"bump", "bump_in_go"} {
			t.Run(name+"/"+work, func(t *testing.T) {
				t.Parallel()
				db := database(t)
				db.Exec(t, c.create)
				start(t, db, nil)
				enqueue(t, db, work, "batch_size => 100")
				exactlyOnce(t, db)

				sizes := pgtest.Column[int](t, db, fmt.Sprintf(`SELECT (SELECT count(*) FROM t WHERE (j.after_value IS NULL OR %[1]s > %[2]s) AND %[1]s <= %[3]s)
					FROM %[4]s j ORDER BY ordinal`, c.key, fmt.Sprintf(c.cast, "j.after_value"), fmt.Sprintf(c.cast, "j.max_value"), jobsTable))
				require.Equal(t, []int{100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 5}, sizes)
			})
		}
	}
}

func TestH5_WorkersThatStartTogetherMakeOneChain(t *testing.T) {
	t.Parallel()
	for _, work := range []string{"bump", "bump_in_go"} {
		t.Run(work, func(t *testing.T) {
			t.Parallel()
			db := database(t)
			table(t, db, 500)
			var finished atomic.Int32
			replicas := make([]*replica, 3)
			for i := range replicas {
				replicas[i] = start(t, db, with(workers(4), observe(hooks{ended: func(string) { finished.Add(1) }})))
			}
			enqueue(t, db, work, "batch_size => 5, parallelism => 12")

			exactlyOnce(t, db)
			for _, r := range replicas {
				r.stop()
			}
			require.EqualValues(t, 1, finished.Load(), "one of them finishes it")
			require.Equal(t, 500, pgtest.One[int](t, db, "SELECT rows_done FROM bbm.progress"))
			require.Equal(t, 1, pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE after_value IS NULL"))
		})
	}
}
