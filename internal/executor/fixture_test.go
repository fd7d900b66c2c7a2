package executor_test

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// jobsTable and migrationsTable are the control schema's.
const (
	jobsTable       = "bbm.batched_background_migration_jobs"
	migrationsTable = "bbm.batched_background_migrations"
)

// socket is where the shared server listens besides its port.
var socket struct {
	sync.Once
	host, port string
}

// database returns a database of the shared server by its unix socket, which
// asks for no password: tests connect hundreds of times, and to prove a
// password costs more than most of what they do.
func database(t *testing.T) *pgtest.Database {
	t.Helper()
	db := pgtest.New(t)
	socket.Do(func() {
		socket.host = pgtest.One[string](t, db.Superuser(t), "SELECT split_part(current_setting('unix_socket_directories'), ',', 1)")
		socket.port = pgtest.One[string](t, db, "SELECT current_setting('port')")
	})
	db.URL = fmt.Sprintf("postgres://%s@/%s?host=%s&port=%s", pgtest.Owner, db.Name, url.QueryEscape(socket.host), socket.port)
	return db
}

// table creates the table t with the ids from 1 to rows, each with n = 0.
func table(t *testing.T, db *pgtest.Database, rows int) {
	t.Helper()
	db.Exec(t, fmt.Sprintf("CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT generate_series(1, %d)", rows))
}

// enqueue enqueues the migration m on the table t, with batches that keep their
// size; more are further arguments of bbm.enqueue.
func enqueue(t *testing.T, db *pgtest.Database, work, more string) {
	t.Helper()
	if more != "" {
		more = ", " + more
	}
	db.Exec(t, "SELECT bbm.enqueue('"+work+"', 't', name => 'm', target_duration => '0'"+more+")")
}

// ends waits until migration m is over, and checks how.
func ends(t *testing.T, db *pgtest.Database, status string) {
	t.Helper()
	db.WaitFor(t, "SELECT status IN ('finished', 'failed', 'cancelled') FROM "+migrationsTable+" WHERE name = 'm'")
	require.Equal(t, status, pgtest.One[string](t, db, "SELECT status FROM "+migrationsTable+" WHERE name = 'm'"),
		pgtest.One[string](t, db, "SELECT coalesce(error_message, 'no error') FROM "+migrationsTable+" WHERE name = 'm'"))
}

// failure returns why migration m has failed.
func failure(t *testing.T, db *pgtest.Database) string {
	t.Helper()
	return pgtest.One[string](t, db, "SELECT concat_ws(' ', failure_error_code, error_sqlstate, error_message) FROM "+migrationsTable+" WHERE name = 'm'")
}

// waitsBecause waits until migration m says that it does not move, and why.
func waitsBecause(t *testing.T, db *pgtest.Database, reason string) {
	t.Helper()
	db.WaitFor(t, "SELECT coalesce(status_reason, '') LIKE '%' || $1 || '%' FROM bbm.progress WHERE name = 'm'", reason)
}

// exactlyOnce checks that every row of t was processed once, by the jobs of a
// finished migration that tile its range.
func exactlyOnce(t *testing.T, db *pgtest.Database) {
	t.Helper()
	ends(t, db, "finished")
	onlyOnce(t, db)
	tiles(t, db)
}

// onlyOnce checks that every row of t was processed once.
func onlyOnce(t *testing.T, db *pgtest.Database) {
	t.Helper()
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n = 0"), "rows that were missed")
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n > 1"), "rows that were processed twice")
}

// tiles checks that the jobs of every migration are finished and form one chain up to its end.
func tiles(t *testing.T, db *pgtest.Database) {
	t.Helper()
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE status <> 'finished' OR attempts = 0"), "jobs left open, or never counted")
	require.Zero(t, pgtest.One[int](t, db, `SELECT count(*) FROM (
		SELECT ordinal, row_number() OVER (PARTITION BY batched_background_migration_id ORDER BY ordinal) AS place
		FROM `+jobsTable+` WHERE ordinal IS NOT NULL) chain WHERE ordinal <> place`), "holes in the chain")
	// The halves of a split job have no ordinal, and tile with the others: each begins where exactly one other ends.
	require.Zero(t, pgtest.One[int](t, db, `SELECT count(*) FROM `+jobsTable+` j WHERE after_value IS NOT NULL AND 1 <> (
		SELECT count(*) FROM `+jobsTable+` o WHERE o.batched_background_migration_id = j.batched_background_migration_id AND o.max_value = j.after_value)`), "seams in the chain")
	require.Zero(t, pgtest.One[int](t, db, `SELECT count(*) FROM (
		SELECT FROM `+jobsTable+` GROUP BY batched_background_migration_id, after_value HAVING count(*) > 1) twice`), "overlaps in the chain")
	require.Zero(t, pgtest.One[int](t, db, `SELECT count(*) FROM `+migrationsTable+` m WHERE max_value IS DISTINCT FROM (
		SELECT max_value FROM `+jobsTable+` WHERE batched_background_migration_id = m.id AND ordinal IS NOT NULL ORDER BY ordinal DESC LIMIT 1)`), "the chain's end")
}

// gate is a row of t that nobody gets past until the gate is opened.
type gate struct {
	t    *testing.T
	db   *pgtest.Database
	key  string
	conn *pgx.Conn
}

// The row is found inside of the function, so that the trigger depends on no column.
const gateSQL = `
CREATE OR REPLACE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS $$
BEGIN
  IF to_jsonb(OLD)->>'id' = TG_ARGV[0] THEN
    PERFORM pg_advisory_xact_lock_shared(9000, hashtext(TG_ARGV[0]));
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER "gate %[1]s" BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION gate('%[1]s')`

// closeGate makes whoever updates the row of t with that id wait.
func closeGate(t *testing.T, db *pgtest.Database, id any) *gate {
	t.Helper()
	g := &gate{t: t, db: db, key: fmt.Sprint(id), conn: db.Conn(t)}
	_, err := g.conn.Exec(t.Context(), fmt.Sprintf(gateSQL, g.key))
	require.NoError(t, err)
	_, err = g.conn.Exec(t.Context(), "SELECT pg_advisory_lock(9000, hashtext($1))", g.key)
	require.NoError(t, err)
	return g
}

// reached waits until somebody waits at the gate.
func (g *gate) reached() {
	g.t.Helper()
	g.db.WaitFor(g.t, `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 9000 AND objid::bigint = hashtext($1)::bigint & 4294967295 AND NOT granted
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`, g.key)
}

// open lets everybody pass from now on.
func (g *gate) open() {
	g.t.Helper()
	_, err := g.conn.Exec(g.t.Context(), "SELECT pg_advisory_unlock_all()")
	require.NoError(g.t, err)
}

// passes waits until somebody is at the gate, queues statements that need the table for
// themselves, and opens the gate: they are executed between two batches.
func (g *gate) passes(statements string) {
	g.t.Helper()
	g.reached()
	conn := g.db.Conn(g.t)
	done := make(chan error, 1)
	go func() { done <- conn.PgConn().Exec(context.Background(), statements).Close() }()
	g.db.WaitFor(g.t, "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid = $1)", conn.PgConn().PID())
	g.open()
	require.NoError(g.t, <-done)
}

// pauses waits until somebody is at the gate, pauses migration m, and opens the gate once the
// worker has heard of it: what it has not begun with stays pending.
func (g *gate) pauses(r *replica) {
	g.t.Helper()
	g.reached()
	g.db.Exec(g.t, "SELECT bbm.pause('m')")
	r.logs("worker is told to stop")
	g.open()
	idle(g.t, g.db)
}

const poisonSQL = `
CREATE TABLE IF NOT EXISTS public.poison (id bigint PRIMARY KEY);
CREATE OR REPLACE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM public.poison WHERE id = OLD.id) THEN
    RAISE EXCEPTION 'row % is poisoned', OLD.id USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER poison BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION poison()`

// poison makes every update of these rows of t fail, from now on.
func poison(t *testing.T, db *pgtest.Database, ids ...int) {
	t.Helper()
	if pgtest.One[bool](t, db, "SELECT to_regclass('public.poison') IS NULL") {
		db.Exec(t, poisonSQL)
	}
	db.Exec(t, "INSERT INTO public.poison SELECT unnest($1::bigint[])", ids)
}

// cure takes the poison away.
func cure(t *testing.T, db *pgtest.Database, ids ...int) {
	t.Helper()
	db.Exec(t, "DELETE FROM public.poison WHERE id = ANY ($1)", ids)
}

// hurry makes all pending jobs due.
func hurry(t *testing.T, db *pgtest.Database) {
	t.Helper()
	db.Exec(t, "UPDATE "+jobsTable+" SET next_attempt_at = clock_timestamp() WHERE status = 'pending'; NOTIFY bbm_new")
}

// The sessions of workers, by what they hold: a batch session has a slot, a
// look-ahead session only shares the owner's epoch.
const (
	mine          = "database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND locktype = 'advisory' AND granted"
	batchSessions = "SELECT pid FROM pg_locks WHERE classid = 7703 AND " + mine
	aheadSessions = "SELECT DISTINCT pid FROM pg_locks WHERE classid = 7701 AND " + mine + " AND pid NOT IN (" + batchSessions + ")"
)

// terminate ends the sessions that a query lists, and waits until they are gone. It returns how many there were.
func terminate(t *testing.T, db *pgtest.Database, sessions string) int {
	t.Helper()
	pids := pgtest.Column[int](t, db, sessions)
	for _, pid := range pids {
		db.Superuser(t).Exec(t, "SELECT pg_terminate_backend($1)", pid)
	}
	db.WaitFor(t, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = ANY ($1))", pids)
	return len(pids)
}
