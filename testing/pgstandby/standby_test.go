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
	require.Equal(t, []string{"one"}, pgtest.Column[string](t, db.Superuser(t), "SELECT application_name FROM pg_stat_replication"))

	standby.Pause(t)
	db.Exec(t, "UPDATE t SET n = 2")
	db.Superuser(t).WaitFor(t, "SELECT write_lsn > replay_lsn FROM pg_stat_replication")
	require.Equal(t, 1, pgtest.One[int](t, replica, "SELECT n FROM t"))
	standby.Resume(t)
	replica.WaitFor(t, "SELECT n = 2 FROM t")

	require.NoError(t, standby.Restart(t.Context()))
	db.Superuser(t).WaitFor(t, "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming')")
}

// A standby that was cut off is promoted without what it missed.
func TestPromotedWithoutWhatItMissed(t *testing.T) {
	t.Parallel()
	primary := pgtest.NewServer(t, pgserver.Options{})
	db := &pgtest.Database{Name: "postgres", URL: primary.URL("postgres")} // which the end of the test need not drop
	standby := pgstandby.New(t, primary, "one", nil)
	db.Exec(t, "CREATE TABLE t AS SELECT 1 AS n")
	standby.Database(db.Name).WaitFor(t, "SELECT to_regclass('t') IS NOT NULL")

	standby.Detach(t)
	db.Exec(t, "UPDATE t SET n = 2")
	require.NoError(t, primary.Kill())
	standby.Promote(t)
	promoted := standby.Database(db.Name)
	require.Equal(t, 1, pgtest.One[int](t, promoted, "SELECT n FROM t"))
	promoted.Exec(t, "UPDATE t SET n = 3")
	require.NoError(t, primary.Restart(t.Context()))
	require.Equal(t, 2, pgtest.One[int](t, db, "SELECT n FROM t"), "both take writes")
}

// A primary that was stopped in order has sent everything, and follows its successor.
func TestSwitchover(t *testing.T) {
	t.Parallel()
	primary := pgtest.NewServer(t, pgserver.Options{})
	db := &pgtest.Database{Name: "postgres", URL: primary.URL("postgres")} // which the end of the test need not drop
	standby := pgstandby.New(t, primary, "one", nil)
	db.Exec(t, "CREATE TABLE t AS SELECT 1 AS n")
	db.WaitFor(t, "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming')")
	require.NoError(t, primary.Stop(t.Context()))
	standby.Promote(t)
	standby.Database(db.Name).Exec(t, "UPDATE t SET n = n + 1")
	pgstandby.Rejoin(t, primary, standby)
	db.WaitFor(t, "SELECT n = 2 AND pg_is_in_recovery() FROM t")
}
