package executor_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// The observer hears of every claim: of those among the batches, and of those
// that a second connection makes ahead of them.
func TestObserverHearsOfEveryClaim(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ work, key, value, options string }{
		"among the batches":     {"bump", "bigint", "i", ", parallelism => 2"},
		"ahead":                 {"bump", "bigint", "i", ""},
		"ahead, random keys":    {"bump", "uuid", "gen_random_uuid()", ", parallelism => 2"},
		"ahead, for a callback": {"bump_in_go", "bigint", "i", ", parallelism => 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := database(t)
			db.Exec(t, fmt.Sprintf("CREATE TABLE t (id %s PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT %s FROM generate_series(1, 500) i", c.key, c.value))
			var claimed atomic.Int64
			start(t, db, observe(hooks{claimed: func(jobs int) { claimed.Add(int64(jobs)) }}))
			enqueue(t, db, c.work, "batch_size => 10"+c.options)
			exactlyOnce(t, db)
			require.Equal(t, pgtest.One[int64](t, db, "SELECT count(*) FROM "+jobsTable), claimed.Load())
		})
	}
}

// What a migration has done is counted beside its last batches, and not all of it behind them.
func TestAMigrationIsEndingShortlyBeforeItsLastBatch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		open bool
		left int
		each time.Duration
		ends bool
	}{
		"more are to be claimed":          {true, 0, time.Millisecond, false},
		"many are left":                   {false, 50, time.Millisecond, false},
		"few are left":                    {false, 20, time.Millisecond, true},
		"few are left, and each is long":  {false, 20, time.Second, false},
		"the last is begun, however long": {false, 0, time.Minute, true},
		"nobody knows how long they take": {false, 4, 0, true},
	} {
		require.Equal(t, c.ends, executor.EndsSoon(c.open, c.left, c.each), name)
	}
}

// Where a worker can have one connection and no second one, it claims among its batches.
func TestAWorkerWithoutASecondConnectionGoesOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ work, key, value string }{
		"one statement": {"bump", "bigint", "i"},
		"random keys":   {"bump", "uuid", "gen_random_uuid()"},
		"a callback":    {"bump_in_go", "bigint", "i"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := database(t)
			db.Exec(t, fmt.Sprintf("CREATE TABLE t (id %s PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT %s FROM generate_series(1, 500) i", c.key, c.value))
			var connections atomic.Int64
			r := start(t, db, func(o *executor.Options) {
				connect := o.Connect
				o.Connect = func(ctx context.Context, application string) (*pgx.Conn, error) {
					if connections.Add(1) > 1 {
						return nil, &pgconn.PgError{Severity: "FATAL", Code: "53300", Message: "too many connections for role \"app\""}
					}
					return connect(ctx, application)
				}
			})
			enqueue(t, db, c.work, "batch_size => 10")
			exactlyOnce(t, db)
			require.EqualValues(t, 2, connections.Load())
			require.Contains(t, r.log.String(), "no second connection: batches wait for their look-ups")
		})
	}
}
