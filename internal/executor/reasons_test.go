package executor_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// What waits for a free worker says so, is told apart from what moves, and says nothing
// of it any more once it has moved.
func TestBusyWorkersAreTheReason(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 100)
	db.Exec(t, "CREATE TABLE u (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO u SELECT generate_series(1, 10)")
	g := closeGate(t, db, 50)
	start(t, db, with(workers(1), watch(never)))
	enqueue(t, db, "bump", "batch_size => 10")
	g.reached()
	db.Exec(t, "SELECT bbm.enqueue('bump', 'u', name => 'second')")
	db.WaitFor(t, "SELECT coalesce(status_reason, '') LIKE 'waits for a free worker: the one that there is%' FROM bbm.progress WHERE name = 'second'")
	written := "SELECT xmin::text FROM " + migrationsTable + " WHERE name = 'second'"
	before := pgtest.One[string](t, db, written)
	// It looks again, and has nothing new to write about the second.
	db.Exec(t, "SELECT bbm.enqueue('bump', 'u', name => 'later', priority => 200)")
	db.WaitFor(t, "SELECT status_reason IS NOT NULL FROM bbm.progress WHERE name = 'later'")
	require.Equal(t, before, pgtest.One[string](t, db, written))
	require.True(t, pgtest.One[bool](t, db, "SELECT status_reason IS NULL FROM bbm.progress WHERE name = 'm'"))
	g.open()
	db.WaitFor(t, "SELECT count(*) = 3 FROM "+migrationsTable+" WHERE status = 'finished' AND status_reason IS NULL")
}

// The switch is said once of what waits, and forgotten when it is on again.
func TestSwitchedOffIsTheReason(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 10)
	e := start(t, db, func(o *executor.Options) {
		o.Settings.Enabled, o.Settings.OffReason = false, "background migrations are switched off: here"
	})
	enqueue(t, db, "bump", "")
	waitsBecause(t, db, "background migrations are switched off: here")
	settings := executor.DefaultSettings()
	e.Configure(settings)
	ends(t, db, "finished")
	require.True(t, pgtest.One[bool](t, db, "SELECT status_reason IS NULL FROM bbm.progress"))
	onlyOnce(t, db)
}
