package chaos

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// patience is how long anything may take before a run has failed. It is far more
// than it takes, since how long it takes is not what is asserted.
const patience = time.Minute

// glance is how often the database is looked at while something is waited for.
const glance = 10 * time.Millisecond

// watch looks at the database, and connects again whenever it has to.
type watch struct {
	tb   testing.TB
	url  string
	conn *pgx.Conn // nil: not connected
}

func newWatch(tb testing.TB, url string) *watch {
	tb.Helper()
	w := &watch{tb: tb, url: url}
	tb.Cleanup(w.disconnect)
	return w
}

func (w *watch) disconnect() {
	if w.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = w.conn.Close(ctx) // it may be gone
		w.conn = nil
	}
}

// with hands a connection to do, once, and bounds the time that it takes.
func (w *watch) with(do func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.tb.Context()), patience)
	defer cancel()
	if w.conn == nil {
		config, err := pgx.ParseConfig(w.url)
		if err != nil {
			return err
		}
		config.RuntimeParams["application_name"] = "chaos"
		if w.conn, err = pgx.ConnectConfig(ctx, config); err != nil {
			w.conn = nil
			return err
		}
	}
	err := do(ctx, w.conn)
	if err != nil && w.conn.IsClosed() {
		w.conn = nil
	}
	return err
}

// try runs a query for one row, once.
func (w *watch) try(into []any, sql string, args ...any) error {
	return w.with(func(ctx context.Context, conn *pgx.Conn) error { return conn.QueryRow(ctx, sql, args...).Scan(into...) })
}

// row runs a query for one row, again and again while the server is not there.
func (w *watch) row(into []any, sql string, args ...any) {
	w.tb.Helper()
	w.until(sql, patience, func() (bool, error) { return true, w.try(into, sql, args...) })
}

// exec runs a statement, again and again while the server is not there, and
// returns how many rows it changed.
func (w *watch) exec(sql string, args ...any) int64 {
	w.tb.Helper()
	var rows int64
	w.until(sql, patience, func() (bool, error) {
		return true, w.with(func(ctx context.Context, conn *pgx.Conn) error {
			tag, err := conn.Exec(ctx, sql, args...)
			rows = tag.RowsAffected()
			return err
		})
	})
	return rows
}

// until waits until done reports true, and fails the test when that takes too
// long. Errors of a server that is not there count as not yet, others fail the test.
func (w *watch) until(what string, within time.Duration, done func() (bool, error)) {
	w.tb.Helper()
	late := time.NewTimer(within)
	defer late.Stop()
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for {
		ok, err := done()
		if err == nil && ok {
			return
		}
		if err != nil && !unreachable(err) {
			w.tb.Fatalf("%v\nwhile waiting for: %s", err, what)
		}
		select {
		case <-tick.C:
		case <-late.C:
			w.tb.Fatalf("not true after %s: %s (the last error: %v)", within, what, err)
		}
	}
}

// unreachable reports whether an error comes from a server that is not there, or
// has no row yet, rather than from one that refuses.
func unreachable(err error) bool {
	var answer *pgconn.PgError
	if !errors.As(err, &answer) {
		return true
	}
	return answer.Severity == "FATAL" || answer.Severity == "PANIC"
}

// progress is how far migration m is.
type progress struct {
	Status, Reason                     string
	Finished, Running, Pending, Failed int
}

const progressSQL = `
SELECT m.status, coalesce(m.status_reason, ''), count(*) FILTER (WHERE j.status = 'finished'), count(*) FILTER (WHERE j.status = 'running'),
  count(*) FILTER (WHERE j.status = 'pending'), count(*) FILTER (WHERE j.status = 'failed')
FROM bbm.batched_background_migrations m LEFT JOIN bbm.batched_background_migration_jobs j ON j.batched_background_migration_id = m.id
WHERE m.name = 'm' GROUP BY m.id`

func (p *progress) fields() []any {
	return []any{&p.Status, &p.Reason, &p.Finished, &p.Running, &p.Pending, &p.Failed}
}

// progress returns how far migration m is.
func (w *watch) progress() progress {
	w.tb.Helper()
	var p progress
	w.row(p.fields(), progressSQL)
	return p
}

// reaches waits until migration m is as wanted, and returns it so.
func (w *watch) reaches(what string, wanted func(progress) bool) progress {
	w.tb.Helper()
	var p progress
	w.until(what, patience, func() (bool, error) {
		err := w.try(p.fields(), progressSQL)
		return err == nil && wanted(p), err
	})
	return p
}

// mine is true of locks of this database.
const mine = "l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"

// owners returns who works: the epochs that have running jobs and whose lock is held by a session
// whose application_name is like application.
func (w *watch) owners(application string) []int32 {
	w.tb.Helper()
	var epochs []int32
	w.row([]any{&epochs}, `SELECT coalesce(array_agg(DISTINCT l.objid::int), '{}') FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.classid = 7701 AND `+mine+` AND a.application_name LIKE $1
		AND l.objid::int IN (SELECT owner FROM bbm.batched_background_migration_jobs WHERE status = 'running')`, application)
	return epochs
}

// session is a session of a daemon.
type session struct {
	PID    int
	Worker bool   // it belongs to a worker
	Owner  *int32 // the epoch whose batches it runs
}

// sessions returns the sessions of daemons, those of workers first.
func (w *watch) sessions() []session {
	w.tb.Helper()
	var all []session
	w.row([]any{&all}, `SELECT coalesce(jsonb_agg(s ORDER BY s."Worker" DESC, s."PID"), '[]') FROM (
		SELECT a.pid AS "PID", a.application_name LIKE 'bbmd/%/m' AS "Worker", (
			SELECT l.objid::int FROM pg_locks l WHERE l.pid = a.pid AND l.classid = 7701 AND `+mine+`
			AND EXISTS (SELECT FROM pg_locks s WHERE s.pid = a.pid AND s.classid = 7703 AND s.granted) LIMIT 1) AS "Owner"
		FROM pg_stat_activity a WHERE a.datname = current_database() AND a.application_name LIKE 'bbmd/%') s`)
	return all
}

// describe lists what the server shows of daemons, and the open jobs, for people.
func (w *watch) describe() string {
	var text string
	err := w.try([]any{&text}, `SELECT concat_ws(E'\n', (
		SELECT string_agg(format('pid %s %s %s %s since %s: %s; locks %s', pid, application_name, state, wait_event, clock_timestamp() - state_change, left(query, 60), (
			SELECT string_agg(format('(%s, %s) %s', classid, objid, mode), ' ') FROM pg_locks l WHERE l.pid = a.pid AND locktype = 'advisory')), E'\n' ORDER BY application_name)
		FROM pg_stat_activity a WHERE datname = current_database() AND pid <> pg_backend_pid()), (
		SELECT string_agg(j::text, E'\n') FROM (SELECT * FROM bbm.batched_background_migration_jobs WHERE status <> 'finished' ORDER BY id LIMIT 20) j), (
		SELECT string_agg(m::text, E'\n') FROM bbm.batched_background_migrations m))`)
	if err != nil {
		return err.Error()
	}
	return text
}

// describeOdd says of each row that fails what became of it and of its jobs, and of the quarantine.
func (w *watch) describeOdd(key Key) string {
	var text string
	err := w.try([]any{&text}, strings.ReplaceAll(`SELECT concat_ws(E'\n', (
		SELECT string_agg(format('row %s n %s: %s', t.id, t.n, (
			SELECT string_agg(j::text, E'\n  ' ORDER BY j.id) FROM bbm.batched_background_migration_jobs j
			WHERE (j.after_value IS NULL OR j.after_value::@key@ < t.id) AND t.id <= j.max_value::@key@)), E'\n') FROM t WHERE odd), (
		SELECT string_agg(q::text, E'\n') FROM bbm.quarantine q), (
		SELECT string_agg(e::text, E'\n' ORDER BY e.id) FROM (SELECT * FROM invariants.job_events WHERE new_attempts > 1 OR old_status = 'pending' ORDER BY id DESC LIMIT 40) e), (
		SELECT p::text || ' claimed ' || chaos.claimed() FROM chaos.pace p))`, "@key@", string(key)))
	if err != nil {
		return err.Error()
	}
	return text
}
