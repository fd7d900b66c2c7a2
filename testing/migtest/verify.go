package migtest

import (
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/registry"
)

// verify checks the Work's Verify: before, after one batch, and after all.
func (r *trial) verify() {
	batches := r.cut(r.keys, smallBatch)
	wrong, err := r.wrong(r.readOnly(), batches)
	if errors.Is(err, registry.ErrUnverifiable) {
		r.t.Skip(err)
	}
	r.must(err, "Verify fails before the Work has run")
	whole, err := r.wrong(r.readOnly(), r.cut(r.keys, len(r.keys)))
	r.must(err, "Verify fails for the whole table")
	if whole != wrong {
		r.t.Errorf("Verify finds %d rows wrong in small ranges and %d in one: count rows of the range only", wrong, whole)
	}
	if wrong == 0 {
		r.t.Error("Verify finds nothing wrong before the Work has run: a migration that did nothing would pass")
	}
	conn := r.conn()
	for _, b := range some(batches, mostSamples) {
		tx, err := conn.Begin(r.t.Context())
		r.must(err, "begin")
		_, err = r.process(r.t.Context(), tx, b)
		r.must(err, "the Work fails in batch "+describe(b))
		wrong, err := r.wrong(tx, []registry.Batch{b})
		r.must(err, "Verify fails after batch "+describe(b))
		if wrong != 0 {
			r.t.Errorf("Verify finds %d rows wrong in the batch %s that was just run: count rows of the range only, and none that the Work leaves as it is", wrong, describe(b))
		}
		r.must(tx.Rollback(r.t.Context()), "roll back")
	}
	r.all(batches)
	wrong, err = r.wrong(r.readOnly(), batches)
	r.must(err, "Verify fails after the Work has run")
	if wrong != 0 {
		r.t.Errorf("Verify finds %d rows wrong after all batches have run: no migration with these arguments could finish", wrong)
	}
}

// wrong returns what Verify counts in the batches.
func (r *trial) wrong(tx pgx.Tx, batches []registry.Batch) (int64, error) {
	var total int64
	for _, b := range batches {
		b.Start = "" // as the executor does, which may join many batches to one range
		wrong, err := r.Work.Verify(r.t.Context(), tx, b)
		if err != nil {
			return 0, err
		}
		if wrong < 0 {
			return 0, errors.New("a negative number of rows")
		}
		total += wrong
	}
	return total, nil
}
