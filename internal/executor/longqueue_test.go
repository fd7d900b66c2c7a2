package executor_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/explain"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// However many migrations come first and cannot run, or wait for a table that another
// one has: whoever is behind them has its turn.
func TestALongQueueStarvesNobody(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 20)
	db.Exec(t, "CREATE TABLE other (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO other SELECT generate_series(1, 20)")
	many := control.ScanLimit + 20
	closed := closeGate(t, db, 1)
	enqueue(t, db, "bump", "priority => -4")
	db.Exec(t, "SELECT bbm.enqueue('nobody_has_it', 'other', name => 'unknown ' || i, priority => -3) FROM generate_series(1, $1::int) i", many)
	db.Exec(t, "SELECT bbm.enqueue('bump', 'other', name => 'depends ' || i, priority => -2, depends_on => '{nothing}') FROM generate_series(1, $1::int) i", many)
	db.Exec(t, "SELECT bbm.enqueue('bump', 't', name => 'same table ' || i, priority => -1) FROM generate_series(1, $1::int) i", many)
	db.Exec(t, "SELECT bbm.enqueue('bump', 'other', name => 'last')")
	start(t, db, with(workers(2)))
	closed.reached()
	db.WaitFor(t, "SELECT status = 'finished' FROM "+migrationsTable+" WHERE name = 'last'")
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM other WHERE n <> 1"))
	require.Equal(t, 2*many, pgtest.One[int](t, db, "SELECT count(*) FROM "+migrationsTable+" WHERE status = 'active' AND status_reason IS NOT NULL AND name !~ 'same'"))
	db.Exec(t, "UPDATE "+migrationsTable+" SET status = 'paused' WHERE status = 'active'")
	closed.open()
	ends(t, db, "finished")
	exactlyOnce(t, db)
}

// A worker at a migration that many others have come before since is not taken for one
// whose migration is over.
func TestAWorkerIsKeptWhenOthersComeFirst(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 40)
	closed := closeGate(t, db, 30)
	enqueue(t, db, "bump", "batch_size => 10")
	start(t, db, with(workers(1)))
	closed.reached()
	db.Exec(t, "CREATE TABLE other (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)")
	db.Exec(t, "SELECT bbm.enqueue('bump', 'other', name => 'urgent ' || i, priority => -1) FROM generate_series(1, $1::int) i", control.ScanLimit+20)
	db.WaitFor(t, "SELECT count(*) >= $1 FROM "+migrationsTable+" WHERE status_reason IS NOT NULL", control.ScanLimit)
	db.Exec(t, "UPDATE "+migrationsTable+" SET status = 'paused' WHERE name LIKE 'urgent%'")
	closed.open()
	ends(t, db, "finished")
	exactlyOnce(t, db)
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE attempts <> 1"))
}

// A scan reads the beginning of the queue, however long that is.
func TestScanDoesNotGrowWithTheQueue(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 10)
	counted, store := explain.On(db.Conn(t)), control.Store{}
	cost := func(migrations int) int {
		db.Exec(t, "INSERT INTO "+migrationsTable+" (name, job_signature_name, table_name) SELECT 'm' || count(*) OVER () || ' ' || i, 'bump', 'rows' FROM generate_series(1, $1::int) i", migrations)
		db.Exec(t, "VACUUM (ANALYZE) "+migrationsTable)
		for range 2 { // the first fills the session's caches
			counted.Take()
			found, err := store.Scan(t.Context(), counted)
			require.NoError(t, err)
			require.Len(t, found, control.ScanLimit)
		}
		return counted.Take().Buffers
	}
	few := cost(control.ScanLimit)
	require.LessOrEqual(t, cost(3000), few+few/3+20)
}
