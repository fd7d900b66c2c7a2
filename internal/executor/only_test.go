package executor_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func only(name string) func(*executor.Options) {
	return func(o *executor.Options) { o.Only = name }
}

func TestOnlyWorksOnOneMigration(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 100)
	db.Exec(t, "CREATE TABLE u (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO u VALUES (1)")
	db.Exec(t, "SELECT bbm.enqueue('bump', 'u', name => 'other', priority => -1)")
	enqueue(t, db, "bump", "batch_size => 7")
	// A job whose owner is dead: it belongs to the other migration.
	db.Exec(t, `UPDATE `+migrationsTable+` SET status = 'running', table_oid = table_name::regclass, min_value = '1', max_value = '1', key_columns = '{id}', key_types = '{bigint}', work_version = 1
		WHERE name = 'other'`)
	db.Exec(t, `INSERT INTO `+jobsTable+` (batched_background_migration_id, ordinal, max_value, batch_size, owner) SELECT id, 1, '1', 1, 99 FROM `+migrationsTable+` WHERE name = 'other'`)
	r := start(t, db, with(only("m"), watch(soon)))
	ends(t, db, "finished")
	onlyOnce(t, db)
	require.NoError(t, r.LockInUse())
	r.stop()
	require.Equal(t, "running 0", pgtest.One[string](t, db, "SELECT (SELECT status FROM "+jobsTable+" WHERE owner = 99) || ' ' || (SELECT n FROM u)"), "what belongs to the other one stays as it is")
}

func TestOnlyOfNothing(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 10)
	r := start(t, db, only("m"))
	enqueue(t, db, "bump", "paused => true")
	db.Exec(t, "SELECT bbm.resume('m')")
	exactlyOnce(t, db)
	require.NoError(t, r.Err())
}

func TestOnlySaysThatOthersHaveTheLock(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 100)
	g := closeGate(t, db, 50)
	first := start(t, db, watch(soon))
	enqueue(t, db, "bump", "batch_size => 10")
	g.reached()
	second := start(t, db, with(only("m"), watch(soon)))
	require.Eventually(t, func() bool { return second.LockInUse() != nil }, time.Minute, 5*time.Millisecond)
	require.ErrorIs(t, second.LockInUse(), registry.ErrLockInUse)
	require.ErrorContains(t, second.LockInUse(), "its parallelism, 1,")
	require.NoError(t, first.LockInUse())
	g.open()
	first.stop()
	exactlyOnce(t, db)
	require.Eventually(t, func() bool { return second.LockInUse() == nil }, time.Minute, 5*time.Millisecond)
}
