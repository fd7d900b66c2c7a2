package executor_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

const spareSessions = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bbmd/test/spare'"

// inTurn enqueues a Work on t, and when that is finished another on u. It returns how many connections were opened for each.
func inTurn(t *testing.T, db *pgtest.Database, s *sessions, first, second string, between func()) (forFirst, forSecond int) {
	t.Helper()
	db.Exec(t, "CREATE TABLE u (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0, found text); INSERT INTO u SELECT generate_series(1, 1000)")
	enqueue(t, db, first, "batch_size => 10")
	exactlyOnce(t, db)
	gone(t, db)
	between()
	forFirst = len(s.taps())
	db.Exec(t, "SELECT bbm.enqueue('"+second+"', 'u', name => 'm2', target_duration => '0', batch_size => 10)")
	db.WaitFor(t, "SELECT status = 'finished' FROM "+migrationsTable+" WHERE name = 'm2'")
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM u WHERE n <> 1"))
	tiles(t, db)
	return forFirst, len(s.taps()) - forFirst
}

// spare waits until that many sessions wait for the next migration.
func spare(t *testing.T, db *pgtest.Database, n int) {
	t.Helper()
	db.WaitFor(t, "SELECT count(*) = $1 FROM ("+spareSessions+") s", n)
}

// What one migration's sessions were is what the next one's are, unless a Work has asked for the connection itself. The second
// connection of a migration only claims.
func TestSessionsServeTheNextMigration(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first, second string
		kept, opened  int
	}{
		"statements":               {"bump", "bump", 2, 0},
		"callbacks":                {"bump_in_go", "bump_in_go", 2, 0},
		"one after the other":      {"bump", "bump_in_go", 2, 0},
		"a savepoint":              {"nested", "bump", 1, 1},
		"the connection":           {"connected", "bump", 1, 1},
		"the server's own objects": {"large", "bump", 1, 1},
		"the connection of rows":   {"queried", "bump", 1, 1},
		"rows":                     {"read", "bump", 2, 0},
		"a batch of statements":    {"queued", "bump", 1, 1},
		"a statement of its own":   {"rewritten", "bump", 1, 1},
		"Verify":                   {"verified", "bump", 1, 1},
		"nothing to verify":        {"unverifiable", "bump", 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := database(t)
			table(t, db, 1000)
			s, connect := sessionsOf(t, db)
			verified, unverifiable := bump, bump
			verified.Name, verified.Verify = "verified", func(context.Context, registry.Querier, registry.Batch) (int64, error) { return 0, nil }
			unverifiable.Name, unverifiable.Verify = "unverifiable", func(context.Context, registry.Querier, registry.Batch) (int64, error) {
				return 0, registry.ErrUnverifiable
			}
			start(t, db, with(works(t, bump, bumpInGo, verified, unverifiable,
				asking("nested", func(ctx context.Context, tx pgx.Tx) error {
					inner, err := tx.Begin(ctx)
					if err != nil {
						return err
					}
					return inner.Commit(ctx)
				}),
				asking("connected", func(_ context.Context, tx pgx.Tx) error { tx.Conn().TypeMap(); return nil }),
				asking("large", func(_ context.Context, tx pgx.Tx) error { tx.LargeObjects(); return nil }),
				asking("queried", func(ctx context.Context, tx pgx.Tx) error {
					rows, err := tx.Query(ctx, "SELECT @n::int", pgx.NamedArgs{"n": 1})
					if err != nil {
						return err
					}
					defer rows.Close()
					rows.Conn().TypeMap()
					return nil
				}),
				asking("read", func(ctx context.Context, tx pgx.Tx) error {
					rows, err := tx.Query(ctx, "SELECT @n::int", pgx.NamedArgs{"n": 1})
					if err != nil {
						return err
					}
					_, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
					return err
				}),
				asking("queued", func(ctx context.Context, tx pgx.Tx) error {
					b := &pgx.Batch{}
					b.Queue("SELECT 1")
					return tx.SendBatch(ctx, b).Close()
				}),
				asking("rewritten", func(ctx context.Context, tx pgx.Tx) error {
					_, err := tx.Exec(ctx, "", pgx.QueryExecModeExec, rewriter{})
					return err
				}),
			), connect))
			first, second := inTurn(t, db, s, c.first, c.second, func() { spare(t, db, c.kept) })
			require.Equal(t, 2, first)
			require.Equal(t, c.opened, second)
		})
	}
}

// rewriter writes a statement, as a library may, and gets the connection for that.
type rewriter struct{}

func (rewriter) RewriteQuery(context.Context, *pgx.Conn, string, []any) (string, []any, error) {
	return "SELECT 1", nil, nil
}

// asking is bump_in_go, and asks for something of its transaction.
func asking(name string, ask func(ctx context.Context, tx pgx.Tx) error) registry.Work {
	return registry.Work{Name: name, Run: func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
		if err := ask(ctx, tx); err != nil {
			return registry.Result{}, err
		}
		return bumpInGo.Run(ctx, tx, b)
	}}
}

// leavings is what a statement can leave on its session, and foundSQL lists what of that is there.
const leavings = `
CREATE SEQUENCE numbers;
CREATE FUNCTION leave() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('work_mem', '77MB', false), set_config('my.own', 'left', false), set_config('role', session_user, false), set_config('search_path', 'pg_catalog', false);
  PERFORM pg_advisory_lock(99, 99), nextval('public.numbers');
  CREATE TEMP TABLE IF NOT EXISTS leftover (id int);
  IF NOT EXISTS (SELECT FROM pg_prepared_statements WHERE name = 'leftover') THEN
    EXECUTE 'PREPARE leftover AS SELECT 1';
    EXECUTE 'DECLARE leftover CURSOR WITH HOLD FOR SELECT 1';
  END IF;
  LISTEN leftover;
  RETURN 1;
END $$;
CREATE FUNCTION found() RETURNS text LANGUAGE sql AS $$
  SELECT concat_ws(' ', current_setting('work_mem'), nullif(current_setting('my.own', true), ''), current_setting('role'), current_setting('search_path'),
    (SELECT string_agg(classid || ',' || objid, ' ') FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory' AND classid NOT IN (7701, 7703)),
    (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'),
    to_regclass('pg_temp.leftover'), (SELECT string_agg(name, ' ') FROM pg_prepared_statements WHERE name NOT LIKE 'bbmd%'),
    (SELECT string_agg(name, ' ') FROM pg_cursors WHERE is_holdable), (SELECT string_agg(c, ' ') FROM pg_listening_channels() c))
$$`

// A statement that calls functions can do to its session whatever it likes: the next migration finds nothing of it, and what
// a new session would have.
func TestTheNextMigrationFindsNothingOfTheLast(t *testing.T) {
	t.Parallel()
	statement := func(name, sql string) registry.Work {
		return registry.Work{Name: name, SQL: func(registry.Migration) (registry.Statement, error) { return registry.ParseStatement(sql) }}
	}
	find := statement("find", "UPDATE u SET n = n + 1, found = found() WHERE :range")
	litter := statement("litter", "UPDATE public.t SET n = n + public.leave() WHERE :range")
	clean := statement("clean", "UPDATE t SET n = n + 1 WHERE :range")

	var found [2]string
	for i, first := range []registry.Work{litter, clean} {
		db := database(t)
		table(t, db, 1000)
		db.Exec(t, leavings)
		s, connect := sessionsOf(t, db)
		r := start(t, db, with(works(t, first, find), connect))
		kept := 2
		if first.Name == clean.Name { // what a new session finds
			executor.KeepSpares(r.Executor, time.Millisecond)
			kept = 0
		}
		_, opened := inTurn(t, db, s, first.Name, find.Name, func() { spare(t, db, kept) })
		require.Equal(t, 2-kept, opened)
		found[i] = strings.Join(pgtest.Column[string](t, db, "SELECT DISTINCT found FROM u"), "\n")
	}
	require.Equal(t, found[1], found[0])
}

// Sessions that died while they waited are as good as none.
func TestDeadSpareSessionsArePassedOver(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 1000)
	s, connect := sessionsOf(t, db)
	r := start(t, db, connect)
	_, opened := inTurn(t, db, s, "bump", "bump", func() {
		spare(t, db, 2)
		require.Equal(t, 2, terminate(t, db, spareSessions))
	})
	require.Equal(t, 2, opened)
	text, _ := r.log.read()
	require.NotContains(t, text, "level=WARN")
}

// A database at rest is left alone: sessions wait for the next migration for a while, and not at all behind the end.
func TestSpareSessionsEnd(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 1000)
	r := start(t, db, nil)
	executor.KeepSpares(r.Executor, time.Millisecond)
	enqueue(t, db, "bump", "batch_size => 10")
	exactlyOnce(t, db)
	gone(t, db)
	spare(t, db, 0)

	executor.KeepSpares(r.Executor, time.Hour)
	db.Exec(t, "UPDATE t SET n = 0; SELECT bbm.enqueue('bump', 't', name => 'm2', target_duration => '0', batch_size => 10)")
	db.WaitFor(t, "SELECT status = 'finished' FROM "+migrationsTable+" WHERE name = 'm2'")
	spare(t, db, 2)
	r.stop()
	spare(t, db, 0)
}

// What a Work holds on to when it has returned is of no use to it, and what it has listened for is nobody's.
func TestAWorkKeepsNothingOfItsSession(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 1000)
	s, connect := sessionsOf(t, db)
	var kept pgx.Tx
	var stale atomic.Int64
	listens := asking("listens", func(ctx context.Context, tx pgx.Tx) error {
		kept = tx
		_, err := tx.Exec(ctx, "LISTEN leftover")
		if err == nil {
			_, err = tx.Exec(ctx, "NOTIFY leftover")
		}
		return err
	})
	start(t, db, with(works(t, listens, asking("hears", func(ctx context.Context, tx pgx.Tx) error {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := tx.Conn().WaitForNotification(ended); err == nil {
			stale.Add(1)
		}
		return nil
	})), connect))
	_, opened := inTurn(t, db, s, "listens", "hears", func() { require.Nil(t, kept.Conn()) })
	require.Zero(t, opened)
	require.Zero(t, stale.Load())
}

// What sessions begin with may be altered while some of them wait.
func TestSessionsOfOtherDefaultsArePassedOver(t *testing.T) {
	t.Parallel()
	for name, alter := range map[string]string{
		"database": "ALTER DATABASE %[1]s SET search_path = app, public",
		"role":     "ALTER ROLE %[2]s IN DATABASE %[1]s SET search_path = app, public",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := database(t)
			table(t, db, 1000)
			db.Exec(t, "CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO public; CREATE FUNCTION app.one() RETURNS int LANGUAGE sql AS 'SELECT 1'")
			finds := registry.Work{Name: "finds", SQL: func(registry.Migration) (registry.Statement, error) {
				return registry.ParseStatement("UPDATE u SET n = n + one() WHERE :range")
			}}
			s, connect := sessionsOf(t, db)
			start(t, db, with(works(t, bump, finds), connect))
			_, opened := inTurn(t, db, s, "bump", "finds", func() {
				spare(t, db, 2)
				db.Superuser(t).Exec(t, fmt.Sprintf(alter, db.Name, pgtest.Worker))
			})
			require.Equal(t, 2, opened)
		})
	}
}

// What a session marks as another server's it marks for as long as it lives: subscribers may pass over such rows.
func TestASessionWithAReplicationOriginIsNotKept(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 1000)
	admin := db.Superuser(t)
	admin.Exec(t, "SELECT pg_replication_origin_create(current_database())")
	admin.Exec(t, `CREATE FUNCTION mark() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
		IF NOT pg_replication_origin_session_is_setup() THEN PERFORM pg_replication_origin_session_setup(current_database()); END IF;
		RETURN 1;
	END $$`)
	marks := registry.Work{Name: "marks", SQL: func(registry.Migration) (registry.Statement, error) {
		return registry.ParseStatement("UPDATE t SET n = n + mark() WHERE :range")
	}}
	s, connect := sessionsOf(t, db)
	s.db = admin
	r := start(t, db, with(works(t, marks, bump), connect))
	_, opened := inTurn(t, db, s, "marks", "bump", func() { spare(t, db, 1) })
	require.Equal(t, 1, opened)
	r.stop()
	admin.Exec(t, "SELECT pg_replication_origin_drop(current_database())") // it is the server's, and not the database's
}
