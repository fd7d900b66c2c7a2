package executor_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/internal/throttle"
	"github.com/bbmd-dev/bbmd/testing/pgstandby"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// A standby that falls behind stops the backfill within some batches, and lets it go
// on by itself when it has caught up.
func TestStandbyThatFallsBehindHoldsTheBackfill(t *testing.T) {
	t.Parallel()
	srv := pgtest.NewServer(t, pgserver.Options{})
	standby := pgstandby.New(t, srv, "reporting", nil)
	db := srv.New(t)
	db.Exec(t, "CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0, filler text); INSERT INTO t SELECT i, 0, repeat('x', 200) FROM generate_series(1, 60000) i")
	db.Superuser(t).Exec(t, "CHECKPOINT")
	caughtUp := "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) < 100000 FROM pg_stat_replication"
	db.Superuser(t).WaitFor(t, caughtUp)
	standby.Pause(t)
	const limit = 2 << 20
	r := startAs(t, db.As(t, pgtest.Observer), throttledBy(func(c *throttle.Config) {
		c.ReplicaLag.Mode, c.ReplicaLag.Bytes, c.ReplicaLag.Time = throttle.On, limit, 0
	}))
	enqueue(t, db, "bump", "batch_size => 500, pause => '20 ms'")
	waitsBecause(t, db, "reporting")
	require.Contains(t, r.log.String(), "migration held back")
	behind := pgtest.One[int64](t, db.Superuser(t), "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint FROM pg_stat_replication")
	require.Greater(t, behind, int64(limit))
	require.Less(t, behind, int64(4*limit), "it went on for long")
	require.Less(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n = 1"), 60000)

	standby.Resume(t)
	db.WaitFor(t, "SELECT status = 'finished' FROM "+migrationsTable)
	exactlyOnce(t, db)
}
