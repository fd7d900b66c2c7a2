package executor_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

const nullTable = `
CREATE TABLE t (id int, v int, n int NOT NULL DEFAULT 0);
INSERT INTO t (id, v) SELECT i, CASE WHEN i % 3 = 0 THEN 1 END FROM generate_series(1, 3000) i;
CREATE INDEX ON t (v) WHERE v IS NULL;`

// fill is not idempotent: n counts how often a row was filled.
var fill = registry.Work{Name: "fill", SQL: func(m registry.Migration) (registry.Statement, error) {
	return registry.ParseStatement("UPDATE " + m.Table + " SET v = id, n = n + 1 WHERE :range")
}}

var fillInGo = registry.Work{Name: "fill_in_go", Run: func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
	tag, err := tx.Exec(ctx, "UPDATE "+b.Table+" x SET v = id, n = n + 1 WHERE "+b.Where("x.ctid"), b.Args()...)
	return registry.Affected(tag), err
}}

func TestNullStrategy(t *testing.T) {
	t.Parallel()
	for _, work := range []registry.Work{fill, fillInGo} {
		t.Run(work.Name, func(t *testing.T) {
			t.Parallel()
			db := database(t)
			db.Exec(t, nullTable)
			start(t, db, works(t, work))
			start(t, db, works(t, work))
			enqueue(t, db, work.Name, "batching_strategy => 'null', column_name => 'v', batch_size => 50, parallelism => 3")
			ends(t, db, "finished")
			require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n <> (id % 3 <> 0)::int OR v IS NULL"))
			require.Equal(t, 2000, pgtest.One[int](t, db, "SELECT sum(rows_affected) FROM "+jobsTable))
		})
	}
}

func TestNullStrategyComesBackForLockedRows(t *testing.T) {
	t.Parallel()
	db := database(t)
	db.Exec(t, nullTable)
	conn := db.Conn(t)
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM t WHERE id = 1000 FOR SHARE")
	require.NoError(t, err)
	start(t, db, works(t, fill))
	enqueue(t, db, "fill", "batching_strategy => 'null', column_name => 'v', batch_size => 500")
	waitsBecause(t, db, "rows that others have locked")
	require.Equal(t, 1, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE v IS NULL"))
	require.NoError(t, tx.Commit(t.Context()))
	ends(t, db, "finished")
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n <> (id % 3 <> 0)::int"))
}

func TestNullStrategyCanFail(t *testing.T) {
	t.Parallel()
	db := database(t)
	db.Exec(t, nullTable)
	poison(t, db, 1000)
	start(t, db, works(t, fill))
	enqueue(t, db, "fill", "batching_strategy => 'null', column_name => 'v', batch_size => 500, max_attempts => 2")
	ends(t, db, "failed")
	require.Contains(t, failure(t, db), "row 1000 is poisoned")
	cure(t, db, 1000)
	db.Exec(t, "SELECT bbm.retry('m')")
	ends(t, db, "finished")
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n <> (id % 3 <> 0)::int"))
}

func TestNullStrategyRefusesWhatItCannotWalk(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ table, column, want string }{
		"no index":        {"CREATE TABLE t (v int)", "v", "CREATE INDEX CONCURRENTLY ON public.t (\"v\") WHERE \"v\" IS NULL"},
		"another index":   {"CREATE TABLE t (v int, w int); CREATE INDEX ON t (v) WHERE w IS NULL", "v", "has no index that finds the rows left"},
		"partitioned":     {"CREATE TABLE t (v int) PARTITION BY RANGE (v); CREATE INDEX ON t (v) WHERE v IS NULL", "v", "one migration for each partition"},
		"several columns": {"CREATE TABLE t (v int, w int)", "v, w", "needs one column"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := database(t)
			db.Exec(t, c.table)
			start(t, db, works(t, fill))
			enqueue(t, db, "fill", "batching_strategy => 'null', column_name => '"+c.column+"'")
			ends(t, db, "failed")
			require.Contains(t, failure(t, db), c.want)
		})
	}
}

// An empty set is finished at once, and rows that arrive later are the application's.
func TestNullStrategyWithNothingToDo(t *testing.T) {
	t.Parallel()
	db := database(t)
	db.Exec(t, nullTable+"UPDATE t SET v = 1")
	start(t, db, works(t, fill))
	enqueue(t, db, "fill", "batching_strategy => 'null', column_name => 'v'")
	ends(t, db, "finished")
	require.Less(t, pgtest.One[time.Duration](t, db, "SELECT finished_at - started_at FROM "+migrationsTable), time.Minute)
}
