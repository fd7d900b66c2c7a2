package executor_test

import (
	"context"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// A batch takes the server down with it. Its start was committed durably
// beforehand, and survives: the second time it is counted.
func TestH7_BatchThatCrashesTheServerIsCounted(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t, pgserver.Options{})
	db := server.New(t)
	table(t, db, 200)
	pids, goOn := make(chan int), make(chan struct{})
	var calls atomic.Int32
	work := registry.Work{Name: "w", Run: func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
		result, err := bumpInGo.Run(ctx, tx, b)
		if b.After == "100" && calls.Add(1) <= 2 {
			pids <- int(tx.Conn().PgConn().PID())
			<-goOn
		}
		return result, err
	}}
	start(t, db, with(works(t, work), watch(soon)))
	enqueue(t, db, "w", "batch_size => 10")
	for range 2 {
		// As the kernel does to a backend that uses too much memory: the server ends all others as well, and recovers.
		require.NoError(t, syscall.Kill(<-pids, syscall.SIGKILL))
		goOn <- struct{}{}
	}
	pool := db.Pool(t)
	require.Eventually(t, func() bool { // the server may still answer, and only then end its sessions
		var over bool
		err := pool.QueryRow(t.Context(), "SELECT status IN ('finished', 'failed') FROM "+migrationsTable).Scan(&over)
		return err == nil && over
	}, time.Minute, 20*time.Millisecond)

	exactlyOnce(t, db)
	require.Equal(t, []int{1}, pgtest.Column[int](t, db, "SELECT crashes FROM "+jobsTable+" WHERE after_value = '100'"))
	require.Equal(t, []int{1}, pgtest.Column[int](t, db, "SELECT DISTINCT attempts - crashes FROM "+jobsTable), "and nobody else")
}

// The server is stopped at once under load. What was committed last may be
// lost, rows and bookkeeping together; what a worker remembers is worth nothing.
func TestH7b_ServerIsStoppedAtOnceUnderLoad(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t, pgserver.Options{})
	db := server.New(t)
	table(t, db, 4000)
	var batches atomic.Int32
	reached := make(chan struct{}, 10)
	count := hooks{batchDone: func(string) {
		if n := batches.Add(1); n == 60 || n == 200 {
			reached <- struct{}{}
		}
	}}
	start(t, db, with(workers(2), watch(soon), observe(count)))
	start(t, db, with(workers(2), watch(soon), observe(count)))
	enqueue(t, db, "bump", "batch_size => 10, parallelism => 4")
	for range 2 {
		<-reached
		require.NoError(t, server.Kill())
		require.NoError(t, server.Restart(t.Context()))
	}

	exactlyOnce(t, db)
}

// Whoever sets a status, in whatever session, does so durably.
func TestH7c_StatusIsDurableBeforeItIsVisible(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 10)
	enqueue(t, db, "bump", "paused => true")
	conn := db.Conn(t)
	for _, way := range []string{"off", "local"} {
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "SET LOCAL synchronous_commit = "+way)
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "UPDATE "+migrationsTable+" SET status = CASE status WHEN 'paused' THEN 'active' ELSE 'paused' END")
		require.NoError(t, err)
		var setting string
		require.NoError(t, tx.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&setting))
		require.Equal(t, "on", setting)
		require.NoError(t, tx.Commit(t.Context()))
	}
}
