package initialize_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// begin opens a transaction that is in others' way until it is ended.
func (b *bringing) begin(t *testing.T, sql string) (end func()) {
	t.Helper()
	conn := b.Conn(t)
	_, err := conn.Exec(t.Context(), "BEGIN ISOLATION LEVEL REPEATABLE READ; "+sql)
	require.NoError(t, err)
	return func() {
		_, err := conn.Exec(t.Context(), "ROLLBACK")
		require.NoError(t, err)
	}
}

func TestGooseTriesAgainForItsLock(t *testing.T) {
	t.Parallel()
	b := bring(t)
	b.Exec(t, "CREATE TABLE busy (id int)")
	b.write(t, map[string]string{"00001_a.sql": up("CREATE TABLE a (id int);\nALTER TABLE busy ADD COLUMN n int;")})
	end := b.begin(t, "SELECT FROM busy")
	ended := background(t, t.Context(), b.prepare(t))
	b.says(t, "(SQLSTATE 55P03): again in ")
	end()
	require.NoError(t, wait(t, ended))
	heard := b.heard()
	require.Greater(t, len(heard), 2, "every attempt is told of")
	require.Equal(t, "done 1", heard[len(heard)-1])
	require.Equal(t, []int64{1}, b.versions(t))
}

func TestGooseGivesUpItsLockAfterAWhile(t *testing.T) {
	t.Parallel()
	b := bring(t)
	b.spec.Limits = initialize.Limits{LockTimeout: 20 * time.Millisecond, Retry: time.Second}
	b.Exec(t, "CREATE TABLE busy (id int)")
	b.write(t, map[string]string{"00001_a.sql": up("ALTER TABLE busy ADD COLUMN n int;")})
	end := b.begin(t, "SELECT FROM busy")
	defer end()
	err := b.run(t)
	require.ErrorContains(t, err, "00001_a.sql:2: ERROR: canceling statement due to lock timeout (SQLSTATE 55P03)")
	require.Equal(t, initialize.KindTransient, initialize.KindOf(err))
	require.Empty(t, b.versions(t))
}

// TestGooseBuildsConcurrentlyBesideLongTransactions: a lock timeout would end what
// only waits, and leave an invalid index.
func TestGooseBuildsConcurrentlyBesideLongTransactions(t *testing.T) {
	t.Parallel()
	b := bring(t)
	b.spec.Limits.LockTimeout = 20 * time.Millisecond
	b.Exec(t, "CREATE TABLE a (id int)")
	b.write(t, map[string]string{
		"00001_index.sql": upOutside("CREATE INDEX CONCURRENTLY a_id ON a (id);\nCREATE TABLE limits AS SELECT current_setting('lock_timeout') AS lock_timeout;"),
	})
	end := b.begin(t, "SET application_name = 'a long report'; SELECT FROM a")
	defer initialize.ReportWaits(t.Context(), b.spec, b.target, 10*time.Millisecond)()
	ended := background(t, t.Context(), b.prepare(t))
	b.await(t, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'CREATE INDEX CONCURRENTLY%'
		AND wait_event_type = 'Lock' AND clock_timestamp() - query_start > interval '300 ms')`)
	b.says(t, "(a long report of ")
	end()
	require.NoError(t, wait(t, ended))
	require.True(t, pgtest.One[bool](t, b.Database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_id'::regclass"))
	require.Equal(t, "20ms", pgtest.One[string](t, b.Database, "SELECT lock_timeout FROM limits"), "for that statement alone")
}

// TestGooseBuildsConcurrentlyWhileOthersWaitForTheLock: whoever waits inside the server
// for the lock that we hold would be waited for by the index.
func TestGooseBuildsConcurrentlyWhileOthersWaitForTheLock(t *testing.T) {
	t.Parallel()
	b := bring(t)
	b.Exec(t, "CREATE TABLE a (id int)")
	b.write(t, map[string]string{"00001_index.sql": upOutside("CREATE INDEX CONCURRENTLY a_id ON a (id);")})
	holder := b.Conn(t)
	held, err := control.Store{}.TrySchemaLock(t.Context(), holder)
	require.NoError(t, err)
	require.True(t, held)

	var results []<-chan error
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 3 {
		got := make(chan error, 1)
		results = append(results, got)
		conn := b.Conn(t)
		go func() { got <- pollLock(ctx, conn) }()
	}
	require.NoError(t, b.run(t))
	require.True(t, pgtest.One[bool](t, b.Database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_id'::regclass"))
	_, err = control.Store{}.ReleaseSchemaLock(t.Context(), holder)
	require.NoError(t, err)
	for _, got := range results {
		require.NoError(t, wait(t, got))
	}
}

// pollLock takes the schema's lock as everybody does who wants it, and gives it back.
func pollLock(ctx context.Context, conn *pgx.Conn) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		held, err := control.Store{}.TrySchemaLock(ctx, conn)
		if err != nil {
			return err
		}
		if held {
			_, err = control.Store{}.ReleaseSchemaLock(ctx, conn)
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestGooseSaysWhichIndexItLeftInvalid(t *testing.T) {
	t.Parallel()
	b := bring(t)
	b.Exec(t, "CREATE TABLE a (id int); INSERT INTO a VALUES (1), (1); CREATE TABLE p (id int) PARTITION BY RANGE (id); CREATE INDEX p_id ON ONLY p (id)")
	b.write(t, map[string]string{"00001_index.sql": upOutside("CREATE UNIQUE INDEX CONCURRENTLY a_id ON a (id);")})
	err := b.run(t)
	require.ErrorContains(t, err, "it left invalid behind: a_id: the next run drops it, or: DROP INDEX CONCURRENTLY a_id")
	require.ErrorContains(t, err, "(SQLSTATE 23505)")
	require.Equal(t, 3, failedStep(t, err).Line)
	require.Empty(t, b.versions(t))
}

func TestGooseSaysWhatStaysOfAStepOutsideATransaction(t *testing.T) {
	t.Parallel()
	b := bring(t)
	b.Exec(t, "CREATE TABLE busy (id int)")
	b.write(t, map[string]string{"00001_a.sql": upOutside("CREATE TABLE a (id int);\nALTER TABLE busy ADD COLUMN n int;")})
	end := b.begin(t, "SELECT FROM busy")
	err := b.run(t)
	require.ErrorContains(t, err, "what it did before this stays")
	require.Equal(t, []string{"started 1"}, b.heard(), "it cannot be tried again")
	end()

	err = b.run(t)
	require.ErrorContains(t, err, "an earlier attempt may have made it")
	require.Equal(t, 3, failedStep(t, err).Line)
	b.write(t, map[string]string{"00001_a.sql": upOutside("CREATE TABLE IF NOT EXISTS a (id int);\nALTER TABLE busy ADD COLUMN n int;")})
	require.NoError(t, b.run(t))
}

func TestGooseLeavesNobodyAtWorkWhenItIsStopped(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"in a transaction":      up("CREATE TABLE a (id int);\nSELECT pg_sleep(600);"),
		"outside a transaction": upOutside("CREATE TABLE a (id int);\nSELECT pg_sleep(600);"),
		"building an index":     upOutside("CREATE INDEX CONCURRENTLY busy_id ON busy (id);"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bring(t)
			b.Exec(t, "CREATE TABLE busy (id int)")
			b.write(t, map[string]string{"00001_a.sql": sql})
			end := b.begin(t, "SELECT FROM busy")
			defer end()
			stop := errors.New("SIGTERM")
			ctx, cancel := context.WithCancelCause(t.Context())
			ended := background(t, ctx, b.prepare(t))
			b.await(t, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1 AND state = 'active'
				AND (query LIKE '%pg_sleep(600)%' OR query LIKE '%CONCURRENTLY%' AND wait_event_type = 'Lock'))`, initialize.ApplicationName("test"))
			cancel(stop)
			err := wait(t, ended)
			b.nobody(t)
			require.ErrorIs(t, err, stop)
			require.Equal(t, initialize.KindTransient, initialize.KindOf(err))
			_ = failedStep(t, err)
		})
	}
}

func TestGooseSurvivesALostConnection(t *testing.T) {
	t.Parallel()
	b := bring(t)
	b.write(t, map[string]string{"00001_a.sql": up("CREATE TABLE a (id int);\nSELECT pg_sleep(600);")})
	ended := background(t, t.Context(), b.prepare(t))
	b.await(t, "SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()")
	err := wait(t, ended)
	require.Equal(t, initialize.KindTransient, initialize.KindOf(err), err)
	b.nobody(t)
	require.NotContains(t, b.tables(t), "a")
}
