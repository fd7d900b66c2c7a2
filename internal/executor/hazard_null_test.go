package executor_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// The strategy "null" has no ranges: what keeps a row from being filled twice,
// while sessions die and migrations are paused, is that it is no longer NULL.
func TestNullStrategyUnderFire(t *testing.T) {
	t.Parallel()
	for _, work := range []registry.Work{fill, fillInGo} {
		t.Run(work.Name, func(t *testing.T) {
			t.Parallel()
			db := database(t)
			db.Exec(t, nullTable)
			for range 2 {
				start(t, db, with(works(t, work), workers(2), watch(soon)))
			}
			enqueue(t, db, work.Name, "batching_strategy => 'null', column_name => 'v', batch_size => 20, parallelism => 4")
			killer := db.Superuser(t).Conn(t)
			for i := range 8 {
				db.WaitFor(t, "SELECT (SELECT status <> 'running' AND started_at IS NOT NULL FROM "+migrationsTable+") OR EXISTS ("+batchSessions+")")
				_, err := killer.Exec(t.Context(), fmt.Sprintf("SELECT pg_terminate_backend(pid) FROM (%s) s ORDER BY random() LIMIT 1", batchSessions))
				require.NoError(t, err)
				if i == 4 {
					_, err = killer.Exec(t.Context(), "UPDATE "+migrationsTable+" SET status = 'paused' WHERE status = 'running'")
					require.NoError(t, err)
					db.Exec(t, "UPDATE "+migrationsTable+" SET status = 'active' WHERE status = 'paused'")
				}
			}
			ends(t, db, "finished")

			require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n <> (id % 3 <> 0)::int OR v IS NULL"))
			require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE status <> 'finished'"))
			require.Equal(t, 2000, pgtest.One[int](t, db, "SELECT sum(rows_affected) FROM "+jobsTable))
		})
	}
}
