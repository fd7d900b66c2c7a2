package pgstandby_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/pgstandby"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestFollowsThePrimaryUntilPaused(t *testing.T) {
	t.Parallel()
	primary := pgtest.NewServer(t, pgserver.Options{})
	db := primary.NewEmpty(t)
	standby := pgstandby.New(t, primary, "one", nil)
	replica := standby.Database(db.Name)

	db.Exec(t, "CREATE TABLE t AS SELECT 1 AS n")
	replica.WaitFor(t, "SELECT to_regclass('t') IS NOT NULL")
	require.True(t, pgtest.One[bool](t, replica, "SELECT pg_is_in_recovery()"))
	require.Equal(t, []string{"one"}, pgtest.Column[string](t, db, "SELECT application_name FROM pg_stat_replication"))

	standby.Pause(t)
	db.Exec(t, "UPDATE t SET n = 2")
	db.WaitFor(t, "SELECT write_lsn > replay_lsn FROM pg_stat_replication")
	require.Equal(t, 1, pgtest.One[int](t, replica, "SELECT n FROM t"))
	standby.Resume(t)
	replica.WaitFor(t, "SELECT n = 2 FROM t")

	require.NoError(t, standby.Restart(t.Context()))
	db.WaitFor(t, "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming')")
}
