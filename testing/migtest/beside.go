package migtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/registry"
)

// heldRows lets batches meet a row that somebody has written and not committed
// yet, and demands a result that the two would have left one after the other,
// in either order: what the Work read before it waited must not win. A Work may
// leave such a row alone if its Verify finds it.
func (r *trial) heldRows() {
	conn, beside := r.conn(), r.another()
	r.takesWrites(conn)
	batches := r.cut(r.keys, smallBatch)
	for i, b := range batches {
		if i%max(1, len(batches)/4) != 0 {
			continue
		}
		w := r.writeTo(conn, r.keys[i*smallBatch+min(1, len(r.keys)-1-i*smallBatch)], b)
		writerFirst := r.inTurn(conn, func(tx pgx.Tx) error { return w.exec(r.t.Context(), tx) }, r.work(b))
		workFirst := r.inTurn(conn, r.work(b), func(tx pgx.Tx) error { return w.exec(r.t.Context(), tx) })
		r.meet(conn, beside, w, b)
		got := r.read(conn)
		difference := differences(got, writerFirst)
		if difference != "" && differences(got, workFirst) != "" && !r.comesAgain(conn, b) {
			r.t.Fatalf("batch %s met a row that somebody was writing, and wrote what it had read before (write from the row itself, as in SET a = lower(b), or read with FOR UPDATE):\n%s",
				describe(b), difference)
		}
	}
}

// comesAgain reports whether Verify finds a row of the batch, so that the batch is
// run again before the migration finishes.
func (r *trial) comesAgain(conn *pgx.Conn, b registry.Batch) bool {
	if r.Work.Verify == nil {
		return false
	}
	b.Start = ""
	wrong, err := r.Work.Verify(r.t.Context(), conn, b)
	return err == nil && wrong > 0
}

// work returns a step that runs a batch.
func (r *trial) work(b registry.Batch) func(pgx.Tx) error {
	return func(tx pgx.Tx) error {
		_, err := r.process(r.t.Context(), tx, b)
		return err
	}
}

// inTurn returns what steps leave, one after the other, and undoes them.
func (r *trial) inTurn(conn *pgx.Conn, steps ...func(pgx.Tx) error) contents {
	r.t.Helper()
	tx, err := conn.Begin(r.t.Context())
	r.must(err, "begin")
	for _, step := range steps {
		r.must(step(tx), "run a batch and a write in turn")
	}
	left := r.read(tx)
	r.must(tx.Rollback(r.t.Context()), "roll back")
	return left
}

// meet writes the row, lets the batch begin, and commits the write when the batch waits for it.
func (r *trial) meet(conn, beside *pgx.Conn, w write, b registry.Batch) {
	r.t.Helper()
	tx, err := conn.Begin(r.t.Context())
	r.must(err, "begin")
	r.must(w.exec(r.t.Context(), tx), "write a row")
	done := make(chan error, 1)
	go func() { done <- r.commit(r.t.Context(), beside, b) }()
	ended, err := r.waitsOrEnds(tx, beside.PgConn().PID(), done)
	r.must(tx.Commit(r.t.Context()), "commit a write")
	if !ended {
		err = <-done
	}
	r.must(err, "the Work fails beside somebody who writes one row")
}

// waitsOrEnds returns when a session waits for another one, or has ended its
// batch: then with the batch's error.
func (r *trial) waitsOrEnds(db registry.Querier, pid uint32, done <-chan error) (ended bool, err error) {
	r.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var waits bool
		r.must(db.QueryRow(r.t.Context(), "SELECT cardinality(pg_blocking_pids($1)) > 0", pid).Scan(&waits), "look whether the batch waits")
		if waits {
			return false, nil
		}
		select {
		case err := <-done:
			return true, err
		case <-tick.C:
		}
	}
}

// writesColumn counts the writes of a storm.
const writesColumn = "migtest_writes"

// storm runs small batches while somebody writes rows, one at a time, as fast as
// the server can, and demands that no write is lost and the result the same.
func (r *trial) storm() {
	conn := r.conn()
	r.takesWrites(conn)
	set, counted := r.countWrites(conn)
	stop, first := make(chan struct{}), make(chan struct{})
	var writes map[string]int64
	ended := make(chan error, 1)
	go func() {
		var err error
		writes, err = r.writeUntil(stop, first, set)
		ended <- err
	}()
	select {
	case <-first:
	case err := <-ended:
		r.must(err, "write to one row")
	}
	for _, b := range r.cut(r.keys, max(1, len(r.keys)/mostBatches)) {
		if err := r.commit(r.t.Context(), conn, b); err != nil {
			close(stop)
			r.t.Fatalf("the Work fails beside somebody who writes one row at a time: %v", errors.Join(err, <-ended))
		}
	}
	close(stop)
	r.must(<-ended, "the Work ends a write to one row")
	if counted {
		r.allKept(conn, writes)
	}
	r.asInOneBatch("what somebody else writes to other columns")
}

// countWrites adds a column to count writes in. A Work that names no columns, as
// in INSERT … SELECT *, may not take one; then writes change nothing.
func (r *trial) countWrites(conn *pgx.Conn) (set string, counted bool) {
	r.t.Helper()
	ctx := r.t.Context()
	key := quote(r.at.key[0].Name)
	_, err := conn.Exec(ctx, "ALTER TABLE "+r.at.table+" ADD COLUMN "+writesColumn+" bigint NOT NULL DEFAULT 0")
	r.must(err, "add a column")
	tx, err := conn.Begin(ctx)
	r.must(err, "begin")
	_, refused := r.process(ctx, tx, r.cut(r.keys, len(r.keys))[0])
	r.must(tx.Rollback(ctx), "roll back")
	if refused == nil {
		return writesColumn + " = " + writesColumn + " + 1", true
	}
	_, err = conn.Exec(ctx, "ALTER TABLE "+r.at.table+" DROP COLUMN "+writesColumn)
	r.must(err, "drop a column")
	return key + " = " + key, false
}

// writeUntil writes random rows until stop is closed. It closes first after the
// first one, and returns how often each row was there to be written.
func (r *trial) writeUntil(stop <-chan struct{}, first chan<- struct{}, set string) (map[string]int64, error) {
	ctx := context.WithoutCancel(r.t.Context())
	conn, err := connect(ctx, r.db.URL)
	if err != nil {
		return nil, err
	}
	defer hangUp(conn)
	writes := map[string]int64{}
	for n := 0; ; n++ {
		select {
		case <-stop:
			return writes, nil
		default:
		}
		key := r.keys[rand.IntN(len(r.keys))] //nolint:gosec // any row will do
		row := r.at.row(key)
		tag, err := conn.Exec(ctx, "UPDATE "+r.at.table+" SET "+set+" WHERE "+row.Where(), row.Args()...)
		if err != nil {
			return nil, fmt.Errorf("write the row with the key %s: %w", key, err)
		}
		writes[key] += tag.RowsAffected()
		if n == 0 {
			close(first)
		}
	}
}

// allKept demands that every row which is still there has all its writes.
func (r *trial) allKept(conn *pgx.Conn, writes map[string]int64) {
	r.t.Helper()
	rows, err := conn.Query(r.t.Context(), "SELECT "+r.at.rendered()+", "+writesColumn+" FROM "+r.at.table)
	r.must(err, "read the counted writes")
	var key string
	var kept int64
	_, err = pgx.ForEachRow(rows, []any{&key, &kept}, func() error {
		if kept != writes[key] {
			return errors.New("the row with the key " + key + " lost writes of somebody else to a column that the Work need not know: write the columns that change, and no others")
		}
		return nil
	})
	r.must(err, "compare the writes")
	_, err = conn.Exec(r.t.Context(), "ALTER TABLE "+r.at.table+" DROP COLUMN "+writesColumn)
	r.must(err, "drop a column")
}
