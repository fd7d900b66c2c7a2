package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// foreground is a session of the application, in a transaction that holds rows of the table.
type foreground struct {
	run  *run
	conn *pgx.Conn
	pid  uint32
}

// begin opens a transaction of the application. It is not the one that gives way in a deadlock.
func (r *run) begin() *foreground {
	r.tb.Helper()
	f := &foreground{run: r}
	r.watch.until("the application connects", patience, func() (bool, error) {
		ctx, cancel := context.WithTimeout(r.tb.Context(), patience)
		defer cancel()
		var err error
		if f.conn, err = pgx.Connect(ctx, r.db.Superuser(r.tb).URL); err != nil {
			return false, err
		}
		f.pid = f.conn.PgConn().PID()
		return true, nil
	})
	f.exec("SET deadlock_timeout = '1min'; BEGIN")
	return f
}

// exec runs a statement, which must not fail: batches yield to the application.
func (f *foreground) exec(sql string, args ...any) {
	f.run.tb.Helper()
	ctx, cancel := context.WithTimeout(f.run.tb.Context(), patience)
	defer cancel()
	if _, err := f.conn.Exec(ctx, sql, args...); err != nil {
		f.run.tb.Fatalf("the application is refused: %v\nin: %s", err, sql)
	}
}

// commit ends the transaction and the session.
func (f *foreground) commit() {
	f.run.tb.Helper()
	f.exec("COMMIT")
	ctx, cancel := context.WithTimeout(f.run.tb.Context(), patience)
	defer cancel()
	_ = f.conn.Close(ctx) // nothing depends on it
}

// lock locks a row, which may take as long as a batch does.
func (f *foreground) lock(id string) { f.exec("SELECT FROM t WHERE id::text = $1 FOR UPDATE", id) }

// ahead returns two neighbours that are to be processed soon, the lower one first.
func (r *run) ahead(f Fault) (low, high string) {
	r.tb.Helper()
	batches := 2 + int(f.Pick/2%8)
	r.allow(batches + 100)
	r.watch.row([]any{&low, &high}, fmt.Sprintf(`SELECT min(id::text) FILTER (WHERE place = 1), min(id::text) FILTER (WHERE place = 2) FROM (
		SELECT id, row_number() OVER (ORDER BY id) AS place FROM (
			SELECT id FROM t WHERE id > (SELECT max_value::%s FROM bbm.batched_background_migration_jobs WHERE ordinal IS NOT NULL ORDER BY ordinal DESC LIMIT 1)
			ORDER BY id OFFSET $1 LIMIT 2) pair) placed`, r.Key), (batches+1)*r.BatchSize-2)
	return low, high
}

// waits waits until a batch waits for the application.
func (r *run) waits(f *foreground) {
	r.tb.Helper()
	r.watch.until("a batch waits for a row that the application has", patience, func() (bool, error) {
		var waits bool
		err := r.watch.try([]any{&waits}, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'bbmd/%' AND $1::int = ANY (pg_blocking_pids(pid)))", int32(f.pid)) //nolint:gosec // process numbers are small
		return waits, err
	})
}

// lockRow has the application keep a row for longer than a batch waits for it.
func (r *run) lockRow(f Fault) injury {
	r.tb.Helper()
	app := r.begin()
	_, row := r.ahead(f)
	since := r.lastEvent()
	app.lock(row)
	r.watch.until("a batch gives way to the application", patience, func() (bool, error) {
		var yielded bool
		err := r.watch.try([]any{&yielded}, "SELECT EXISTS (SELECT FROM invariants.job_events e WHERE error_sqlstate = '55P03' AND new_transients > old_transients AND id > $1)", since)
		return yielded, err
	})
	r.hold(longerThanTakeover)
	app.commit()
	return injury{at: time.Now()}
}

// deadlock has the application lock two neighbours in the order in which a batch does not: the batch gives way.
func (r *run) deadlock(f Fault) injury {
	r.tb.Helper()
	app := r.begin()
	low, high := r.ahead(f)
	app.lock(high)
	r.waits(app)
	began := time.Now()
	app.lock(low)
	app.commit()
	r.figures.took("the application waits for a batch in its way", time.Since(began))
	return injury{at: began}
}
