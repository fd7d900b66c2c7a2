package executor_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/registry"
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

// lookups counts what a reconcile asks the registry.
type lookups struct {
	executor.NoObserver
	executor.Works

	asked, reconciles atomic.Int64
}

func (l *lookups) Lookup(name string) (registry.Work, error) {
	l.asked.Add(1)
	return l.Works.Lookup(name)
}

func (l *lookups) Reconciled(map[string]int, time.Duration, time.Duration) { l.reconciles.Add(1) }

// However many migrations wait for a Work that nobody has, a reconcile asks for it twice: when it
// reads the queue, and when it decides. To say that there is none is dear: it looks for one with a similar name.
func TestALongQueueAsksForAWorkOnce(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 10)
	many := 3*control.ScanLimit + 20
	db.Exec(t, "SELECT bbm.enqueue('nobody_has_it', 't', name => 'unknown ' || i) FROM generate_series(1, $1::int) i", many)
	seen := &lookups{}
	r := start(t, db, func(o *executor.Options) {
		seen.Works = o.Registry
		o.Registry, o.Observer = seen, seen
	})
	db.WaitFor(t, "SELECT count(*) = $1 FROM "+migrationsTable+" WHERE status_reason IS NOT NULL", many)
	r.stop()
	require.Positive(t, seen.asked.Load())
	require.LessOrEqual(t, seen.asked.Load(), 2*(seen.reconciles.Load()+1)) // one may have been under way
}

// Whoever waits for a Work that a replica does not have, and says so, is passed over: the queue behind is not read by the page.
func TestTheQueueIsReadBehindThoseWhoseWorkIsAbsent(t *testing.T) {
	t.Parallel()
	db := database(t)
	db.Exec(t, "INSERT INTO "+migrationsTable+" (name, job_signature_name, table_name) SELECT 'unknown ' || i, 'nobody_has_it', 'rows' FROM generate_series(1, $1::int) i", 3*control.ScanLimit)
	db.Exec(t, "INSERT INTO "+migrationsTable+" (name, job_signature_name, table_name) VALUES ('last', 'bump', 'rows')")
	db.Exec(t, "UPDATE "+migrationsTable+" SET status_reason = 'nobody has it' WHERE name LIKE 'unknown%' AND name <> 'unknown 250'")
	conn, store := db.Conn(t), control.Store{}
	page, err := store.Scan(t.Context(), conn)
	require.NoError(t, err)
	require.Len(t, page, control.ScanLimit)
	page, err = store.ScanBehind(t.Context(), conn, control.Behind{ID: page[len(page)-1].ID, Works: []string{"nobody_has_it"}})
	require.NoError(t, err)
	require.Len(t, page, 2)
	require.Equal(t, "unknown 250", page[0].Name, "nobody has said why it waits")
	require.Equal(t, "last", page[1].Name)
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
