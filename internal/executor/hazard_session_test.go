package executor_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/fakepooler"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// A worker that looks ahead has two connections. Whichever dies, in whatever
// order, its owner is dead as a whole or not at all.
func TestH3_TheTwoConnectionsOfAWorkerDie(t *testing.T) {
	t.Parallel()
	const (
		batch = batchSessions
		ahead = aheadSessions
	)
	for name, c := range map[string]struct {
		create, middle, work string
		orders               [][]string
	}{
		"uuid": {
			"CREATE TABLE t (id uuid PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT md5(i::text)::uuid FROM generate_series(1, 6000) i",
			"SELECT id::text FROM t ORDER BY id OFFSET 300 LIMIT 1", "bump",
			[][]string{{ahead}, {batch}, {ahead, batch}, {batch, ahead}},
		},
		"go": {
			"CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT generate_series(1, 6000)",
			"SELECT '300'", "bump_in_go",
			[][]string{{ahead}, {batch}, {ahead, batch}, {batch, ahead}},
		},
		"text": {
			"CREATE TABLE t (id text PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT i FROM generate_series(1, 6000) i",
			"SELECT '1300'", "bump",
			[][]string{{ahead, batch}, {batch, ahead}},
		},
		"composite": {
			"CREATE TABLE t (a int, id int, n int NOT NULL DEFAULT 0, PRIMARY KEY (a, id)); INSERT INTO t SELECT i % 7, i FROM generate_series(1, 6000) i",
			"SELECT '301'", "bump",
			[][]string{{ahead, batch}, {batch, batch, ahead}},
		},
	} {
		for _, order := range c.orders {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				db := database(t)
				db.Exec(t, c.create)
				g := closeGate(t, db, pgtest.One[string](t, db, c.middle))
				start(t, db, watch(soon))
				enqueue(t, db, c.work, "batch_size => 20")
				for i, sessions := range order {
					g.reached() // by the same session or by the next
					ended := terminate(t, db, sessions)
					if i == 0 { // there is more ahead than may lie ready
						require.Equal(t, 1, ended)
					}
				}
				g.open()

				exactlyOnce(t, db)
			})
		}
	}
}

// While one connection of an owner lives, nobody takes its jobs.
func TestH3_AnOwnerLivesAsLongAsOneOfItsConnections(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 5000) // more than may lie ready: then nobody looks ahead any more
	g := closeGate(t, db, 333)
	r := start(t, db, watch(never))
	enqueue(t, db, "bump_in_go", "batch_size => 10")
	g.reached()
	owner := pgtest.One[int32](t, db, "SELECT DISTINCT owner FROM "+jobsTable+" WHERE status = 'running'")
	require.NotZero(t, terminate(t, db, aheadSessions))

	jobs, alive, err := control.NewStore("").TakeOver(t.Context(), db.Pool(t), 1, owner)
	require.NoError(t, err)
	require.True(t, alive)
	require.Zero(t, jobs)

	r.process.freeze() // it does not notice before we have looked
	require.Equal(t, 1, terminate(t, db, batchSessions))
	jobs, alive, err = control.NewStore("").TakeOver(t.Context(), db.Pool(t), 1, owner)
	require.NoError(t, err)
	require.False(t, alive)
	require.NotZero(t, jobs)
	r.process.thaw()
	g.open()
	exactlyOnce(t, db)
}

// A worker whose process is gone leaves a statement behind. The server notices,
// and only then are the jobs another's.
func TestH12_ProcessDiesWithinAStatement(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 1000)
		g := closeGate(t, db, 333)
		first := start(t, db, watch(never))
		enqueue(t, db, work, "batch_size => 10")
		g.reached()
		tookOver := make(chan int64, 100)
		start(t, db, with(watch(soon), observe(hooks{tookOver: func(jobs int64) { tookOver <- jobs }})))
		first.kill()
		<-tookOver
		require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE crashes > 0"), "nobody knows who of the block was to blame")
		g.open()

		exactlyOnce(t, db)
	})
}

func TestH12b_SettingsThatBoundEverySession(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"default_transaction_isolation": "read committed", "default_transaction_read_only": "off", "row_security": "off",
		"extra_float_digits": "1", "IntervalStyle": "postgres", "TimeZone": "UTC", "bytea_output": "hex", "synchronous_commit": "off",
		"statement_timeout": "30s", "lock_timeout": "1s", "idle_in_transaction_session_timeout": "1min", "idle_session_timeout": "1min",
		"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3", "tcp_user_timeout": "10000",
		"client_connection_check_interval": "2s", "application_name": "bbmd/test/m",
	}
	db := pgtest.New(t) // by TCP
	set := map[string]string{
		"default_transaction_isolation": "serializable", "extra_float_digits": "0", "IntervalStyle": "sql_standard", "DateStyle": "German",
		"TimeZone": "Asia/Kolkata", "bytea_output": "escape", "idle_session_timeout": "0", "standard_conforming_strings": "off",
	}
	if db.Major(t) < 14 {
		for _, name := range []string{"idle_session_timeout", "client_connection_check_interval"} {
			delete(want, name)
			delete(set, name)
		}
	}
	table(t, db, 10)
	got := make(map[string]string)
	work := goWork(func(ctx context.Context, tx pgx.Tx, _ registry.Batch) error {
		for name := range want {
			var value string
			if err := tx.QueryRow(ctx, "SHOW "+name).Scan(&value); err != nil {
				return err
			}
			got[name] = value
		}
		return nil
	})
	// What the database's owner has set must not decide how the protocol works.
	for name, value := range set {
		db.Exec(t, fmt.Sprintf("ALTER DATABASE %s SET %s = '%s'", db.Name, name, value))
	}
	start(t, db, works(t, work))
	enqueue(t, db, "w", "")

	exactlyOnce(t, db)
	require.Equal(t, want, got)
}

// A group that is sent in part leaves its fence's lock on the server, where no
// time-out ends it: so every group is one write.
func TestH12b_EveryGroupIsOneWrite(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 1000)
		r := start(t, db, nil)
		r.process.record()
		enqueue(t, db, work, "batch_size => 7")
		exactlyOnce(t, db)
		r.stop()

		batches := 0
		for _, data := range r.process.recorded() {
			var kinds []byte
			for len(data) >= 5 && data[0] != 0 { // not a startup message
				kinds = append(kinds, data[0])
				data = data[1+int(data[1])<<24+int(data[2])<<16+int(data[3])<<8+int(data[4]):]
			}
			if len(kinds) == 0 {
				continue
			}
			require.Empty(t, data, "half a message")
			last := kinds[len(kinds)-1]
			require.Contains(t, "SQXp", string(last), "a write ends with Sync, Query, Terminate or a password, not %q", kinds)
			for _, k := range kinds {
				if k == 'E' {
					batches++
				}
			}
		}
		require.Greater(t, batches, 2*143)
	})
}

// Somebody who fell silent in the middle of a batch holds its row. Whoever
// takes the others over does not wait for that.
func TestH12b_TakeOverDoesNotQueueBehindAZombie(t *testing.T) {
	t.Parallel()
	db := database(t)
	m := running(t, db, 1000)
	_, err := claim(t, db.Conn(t), m, 77, 10, 5)
	require.NoError(t, err)
	zombie := db.Conn(t) // its epoch is lost, and it does not know yet
	pipeline := zombie.PgConn().StartPipeline(t.Context())
	pipeline.SendQueryParams("UPDATE "+jobsTable+" SET status = 'finished', owner = NULL WHERE ordinal = 1", nil, nil, nil, nil)
	pipeline.SendFlushRequest()
	require.NoError(t, pipeline.Flush())
	results, err := pipeline.GetResults()
	require.NoError(t, err)
	require.NotNil(t, results)

	start(t, db, watch(soon))
	db.WaitFor(t, "SELECT count(*) = 1 FROM "+jobsTable+" WHERE status <> 'finished'")
	require.EqualValues(t, 77, pgtest.One[int](t, db, "SELECT owner FROM "+jobsTable+" WHERE ordinal = 1"))
	db.Superuser(t).Exec(t, "SELECT pg_terminate_backend($1)", zombie.PgConn().PID())

	exactlyOnce(t, db)
	_ = pipeline.Close()
}

func TestH18_IsolationOfTheDatabaseIsStricter(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			both(t, func(t *testing.T, db *pgtest.Database, work string) {
				t.Helper()
				table(t, db, 1000)
				db.Exec(t, fmt.Sprintf("ALTER DATABASE %s SET default_transaction_isolation = '%s'", db.Name, level))
				g := closeGate(t, db, 555)
				victim := start(t, db, workers(2))
				start(t, db, with(workers(2), watch(soon)))
				enqueue(t, db, work, "batch_size => 10, parallelism => 4")
				g.reached()
				victim.kill()
				g.open()

				exactlyOnce(t, db)
			})
		})
	}
}

func TestH20_EpochsWhoseLockSomebodyElseHoldsArePassedOver(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 100)
	foreign := db.Conn(t)
	_, err := foreign.Exec(t.Context(), "SELECT pg_advisory_lock_shared(7701, 1), pg_advisory_lock(7701, 2), pg_advisory_lock(7701, 3)")
	require.NoError(t, err)
	owners := make(chan int32, 100)
	start(t, db, works(t, goWork(func(ctx context.Context, tx pgx.Tx, _ registry.Batch) error {
		var owner int32
		err := tx.QueryRow(ctx, "SELECT DISTINCT owner FROM "+jobsTable+" WHERE status = 'running'").Scan(&owner)
		owners <- owner
		return err
	})))
	enqueue(t, db, "w", "batch_size => 50")

	exactlyOnce(t, db)
	require.EqualValues(t, 4, <-owners)
}

func TestH20_TransactionPoolerIsRecognised(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]fakepooler.Mode{"another server connection each time": fakepooler.InTurn, "the last one again": fakepooler.LastUsed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := database(t)
			table(t, db, 100)
			start(t, db, through(t, db, mode))
			enqueue(t, db, "bump", "")
			waitsBecause(t, db, "session locks do not hold on this connection: it goes through a transaction pooler")

			require.Zero(t, pgtest.One[int](t, db, "SELECT sum(n) FROM t"))
		})
	}
}

func TestAPoolerInSessionModeWillDo(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 100)
	start(t, db, through(t, db, fakepooler.Session))
	enqueue(t, db, "bump", "")
	exactlyOnce(t, db)
}

// through makes workers connect through a pooler.
func through(t *testing.T, db *pgtest.Database, mode fakepooler.Mode) func(*executor.Options) {
	t.Helper()
	pooled, err := pgx.ParseConfig(fakepooler.Start(t, db.URL, mode))
	require.NoError(t, err)
	if mode != fakepooler.Session {
		pooled.DefaultQueryExecMode = pgx.QueryExecModeExec // a pooler knows no prepared statements
	}
	return func(o *executor.Options) {
		o.Connect = func(ctx context.Context, _ string) (*pgx.Conn, error) { return pgx.ConnectConfig(ctx, pooled.Copy()) }
	}
}

// A claim walks over a gap while it holds the claimers' lock. Others give up
// after the lock time-out, do what else there is, and lose nothing.
func TestClaimersWaitForALongWalk(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		table(t, db, 1000)
		g := closeGate(t, db, 555)
		start(t, db, with(workers(2), func(o *executor.Options) { o.Settings.LockTimeout = 50 * time.Millisecond }))
		enqueue(t, db, work, "batch_size => 10, parallelism => 2")
		g.reached()
		holder := db.Conn(t)
		_, err := holder.Exec(t.Context(), "SELECT pg_advisory_lock(7702, id) FROM "+migrationsTable)
		require.NoError(t, err)
		g.open()
		// Everything that is claimed is done meanwhile.
		db.WaitFor(t, "SELECT NOT EXISTS (SELECT FROM "+jobsTable+" WHERE status <> 'finished')")
		_, err = holder.Exec(t.Context(), "SELECT pg_advisory_unlock_all()")
		require.NoError(t, err)

		exactlyOnce(t, db)
	})
}
