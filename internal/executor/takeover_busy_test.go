package executor_test

import (
	"testing"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// One of two replicas at work on the same migration dies. The other is busy for
// long, and looks after the jobs of the first all the same.
func TestReplicaAtWorkTakesOverFromAnother(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 2000)
		near, far := closeGate(t, db, 5), closeGate(t, db, 1995)
		first := start(t, db, with(workers(1), watch(never)))
		enqueue(t, db, work, "batch_size => 10, parallelism => 2")
		near.reached()
		sessions := pgtest.Column[int](t, db, batchSessions+" UNION "+aheadSessions)
		owner := pgtest.One[int](t, db, "SELECT DISTINCT owner FROM "+jobsTable+" WHERE status = 'running'")
		start(t, db, with(workers(1), watch(soon)))
		far.reached()
		first.kill()
		db.Superuser(t).Exec(t, "SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) s(pid)", sessions)

		db.WaitFor(t, "SELECT NOT EXISTS (SELECT FROM "+jobsTable+" WHERE owner = $1)", owner)
		near.open()
		far.open()
		exactlyOnce(t, db)
	})
}
