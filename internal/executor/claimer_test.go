package executor_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// The observer hears of every claim: of those among the batches, and of those
// that a second connection makes ahead of them, for random keys and for callbacks.
func TestObserverHearsOfEveryClaim(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ work, key, value string }{
		"among the batches":     {"bump", "bigint", "i"},
		"ahead, random keys":    {"bump", "uuid", "gen_random_uuid()"},
		"ahead, for a callback": {"bump_in_go", "bigint", "i"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := database(t)
			db.Exec(t, fmt.Sprintf("CREATE TABLE t (id %s PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT %s FROM generate_series(1, 500) i", c.key, c.value))
			var claimed atomic.Int64
			start(t, db, observe(hooks{claimed: func(jobs int) { claimed.Add(int64(jobs)) }}))
			enqueue(t, db, c.work, "batch_size => 10")
			exactlyOnce(t, db)
			require.Equal(t, pgtest.One[int64](t, db, "SELECT count(*) FROM "+jobsTable), claimed.Load())
		})
	}
}
