package migtest

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/registry"
)

// mostSamples bounds how many batches a check looks at closely.
const mostSamples = 20

// samples returns some of the table's small batches.
func (r *trial) samples(size int) []registry.Batch {
	return some(r.cut(r.keys, size), mostSamples)
}

// rolledBack runs batches in transactions that are rolled back.
func (r *trial) rolledBack() {
	conn := r.conn()
	for _, b := range r.samples(smallBatch) {
		tx, err := conn.Begin(r.t.Context())
		r.must(err, "begin")
		_, err = r.process(r.t.Context(), tx, b)
		r.must(err, "the Work fails in batch "+describe(b))
		r.must(tx.Rollback(r.t.Context()), "roll back")
		if difference := differences(r.read(conn), r.want.before); difference != "" {
			r.t.Fatalf("batch %s was rolled back and leaves something (write through tx and nowhere else):\n%s", describe(b), difference)
		}
	}
}

// secondAttempts runs every batch twice, the first time in vain.
func (r *trial) secondAttempts() {
	conn := r.conn()
	for _, b := range r.cut(r.keys, smallBatch) {
		tx, err := conn.Begin(r.t.Context())
		r.must(err, "begin")
		_, err = r.process(r.t.Context(), tx, b)
		r.must(err, "the Work fails in batch "+describe(b))
		r.must(tx.Rollback(r.t.Context()), "roll back")
		b.Attempt = 2
		r.must(r.commit(r.t.Context(), conn, b), "the Work fails in a second attempt")
	}
	r.asInOneBatch("whether a batch was tried before")
}

// staysInRange demands that a batch writes no row of the table that is not in its range.
func (r *trial) staysInRange() {
	conn := r.conn()
	for _, b := range r.samples(smallBatch) {
		tx, err := conn.Begin(r.t.Context())
		r.must(err, "begin")
		before := r.outside(tx, b)
		_, err = r.process(r.t.Context(), tx, b)
		r.must(err, "the Work fails in batch "+describe(b))
		after := r.outside(tx, b)
		r.must(tx.Rollback(r.t.Context()), "roll back")
		if difference := compareRows(before, after); difference != "" {
			r.t.Fatalf("batch %s writes rows outside of its range (put b.Where(), or :range, into the condition of every statement):\n%s", describe(b), difference)
		}
	}
}

// outside returns the rows that are not in a batch's range, by their keys. The
// version of a row is a part of it, so that a write which changes nothing shows.
func (r *trial) outside(tx pgx.Tx, b registry.Batch) map[string]string {
	r.t.Helper()
	rows, err := tx.Query(r.t.Context(), "SELECT "+r.at.rendered()+", xmin::text, to_jsonb(t)::text FROM "+r.at.table+" t WHERE NOT "+b.Where(), b.Args()...)
	r.must(err, "read the rows outside of a range")
	all := map[string]string{}
	var key, version, row string
	_, err = pgx.ForEachRow(rows, []any{&key, &version, &row}, func() error {
		all[key] = row + " in version " + version
		return nil
	})
	r.must(err, "read the rows outside of a range")
	return all
}

// compareRows says which rows differ, "" if none does.
func compareRows(before, after map[string]string) string {
	var lines []string
	for key, row := range before {
		if after[key] != row {
			lines = append(lines, fmt.Sprintf("%s\nbecomes %s", row, after[key]))
		}
	}
	for key, row := range after {
		if _, ok := before[key]; !ok {
			lines = append(lines, "a new row "+row)
		}
	}
	return strings.Join(shortened(lines), "\n")
}

// emptyRange runs a batch whose rows have been deleted since it was cut.
func (r *trial) emptyRange() {
	conn := r.conn()
	for _, b := range some(r.cut(r.keys, smallBatch), 3) {
		tx, err := conn.Begin(r.t.Context())
		r.must(err, "begin")
		r.remove(tx, b)
		before := r.read(tx)[r.at.table]
		result, err := r.process(r.t.Context(), tx, b)
		r.must(err, "the Work fails in a batch whose rows are gone, which other sessions can do at any time")
		if after := r.read(tx)[r.at.table]; result.Rows != 0 || differences(contents{"": after}, contents{"": before}) != "" {
			r.t.Errorf("batch %s has no rows any more: the Work reports %d, and the table changes:\n%s", describe(b), result.Rows,
				differences(contents{r.at.table: after}, contents{r.at.table: before}))
		}
		r.must(tx.Rollback(r.t.Context()), "roll back")
	}
}

// remove deletes the rows of a range, whatever refers to them, and without triggers.
func (r *trial) remove(tx pgx.Tx, b registry.Batch) {
	r.t.Helper()
	_, err := tx.Exec(r.t.Context(), "SET LOCAL session_replication_role = replica")
	r.must(err, "switch triggers off")
	_, err = tx.Exec(r.t.Context(), "DELETE FROM "+r.at.table+" WHERE "+b.Where(), b.Args()...)
	r.must(err, "delete rows")
	_, err = tx.Exec(r.t.Context(), "SET LOCAL session_replication_role = origin")
	r.must(err, "switch triggers on")
}

// gaps deletes rows after the batches were cut, the last row of each among them,
// and compares many batches with one.
func (r *trial) gaps() {
	whole := r.fresh()
	for _, side := range []*trial{r, whole} {
		tx := side.begin(pgx.TxOptions{})
		for i, b := range side.cut(side.keys, smallBatch) {
			if i != 1 { // of the second, no row is left
				b = side.at.row(b.End)
			}
			side.remove(tx, b)
		}
		side.must(tx.Commit(side.t.Context()), "delete rows")
	}
	r.all(r.cut(r.keys, smallBatch))
	whole.all(whole.cut(whole.keys, len(whole.keys)))
	if difference := differences(r.read(r.conn()), whole.read(whole.conn())); difference != "" {
		r.t.Errorf("the result depends on the size of batches where keys are missing; other than after one batch over all rows,\n%s", difference)
	}
}
