package migtest

import (
	"errors"
	"math/rand/v2"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/registry"
)

// smallBatch is the size of the batches of most checks.
const smallBatch = 3

// mostBatches bounds how many batches a check runs.
const mostBatches = 500

// oneBatch runs the whole table as one batch and notes what that leaves.
func (r *trial) oneBatch(found *outcome) {
	conn := r.conn()
	found.before = r.read(conn)
	found.values = r.values()
	r.must(r.commit(r.t.Context(), conn, r.cut(r.keys, len(r.keys))[0]), "the Work fails")
	found.after = r.read(conn)
	if left := r.values(); left.rows() > 0 {
		found.values = left
	}
	if differences(found.after, found.before) == "" {
		r.t.Fatalf("the Work changes nothing: let Setup leave rows in %s that need it", r.at.table)
	}
	r.Want(r.t, conn)
}

// batchesOf runs the table in batches of that size. The smallest are resumed at
// every boundary.
func (r *trial) batchesOf(size int) {
	batches := r.cut(r.keys, max(size, (len(r.keys)+mostBatches-1)/mostBatches))
	if size == 1 {
		r.resumed(batches)
	} else {
		r.all(batches)
	}
	r.asInOneBatch("the size of batches, or on what a session keeps from one to the next")
}

// asInOneBatch demands what one batch has left.
func (r *trial) asInOneBatch(of string) {
	r.t.Helper()
	conn := r.conn()
	if difference := differences(r.read(conn), r.want.after); difference != "" {
		r.t.Errorf("the result depends on %s (name columns that differ by their nature in Volatile); other than after one batch over all rows,\n%s", of, difference)
	}
	r.Want(r.t, conn)
}

// randomOrder runs small batches in an order that retries and take-overs may
// bring about.
func (r *trial) randomOrder() {
	r.all(r.shuffled())
	r.asInOneBatch("the order of batches")
}

// shuffled returns small batches in random order, and tells which.
func (r *trial) shuffled() []registry.Batch {
	seed := rand.Uint64() //nolint:gosec // it only has to differ from run to run
	batches := r.cut(r.keys, max(smallBatch, len(r.keys)/mostBatches))
	order := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // so that a run can be repeated
	order.Shuffle(len(batches), func(i, j int) { batches[i], batches[j] = batches[j], batches[i] })
	if batches[0].First { // so that a Work which counts on that is found out at once
		last := len(batches) - 1
		batches[0], batches[last] = batches[last], batches[0]
	}
	r.t.Logf("seed %d", seed)
	return batches
}

// twice runs all batches, and then all of them again.
func (r *trial) twice() {
	batches := r.cut(r.keys, 2*smallBatch)
	r.all(batches)
	r.all(batches)
	conn := r.conn()
	if difference := differences(r.read(conn), r.want.after); difference != "" {
		r.t.Errorf("a second run changes rows again (say Once in the case if that is what the Work is for); other than after the first,\n%s", difference)
	}
	r.Want(r.t, conn)
}

// sideBySide runs small batches on several sessions at the same time: the first
// half in pairs that surely overlap, the others as they come.
func (r *trial) sideBySide() {
	batches := r.shuffled()
	half := len(batches) / 4 * 2
	conn, beside := r.conn(), r.another()
	problems := r.workers(batches[half:])
	for i := 0; i < half; i += 2 {
		problems = append(problems, r.overlap(conn, beside, batches[i], batches[i+1]))
	}
	if err := errors.Join(problems...); err != nil {
		r.t.Fatalf("batches that run side by side disturb one another (say Alone in the case if they must not): %v", err)
	}
	r.asInOneBatch("which batches run side by side")
}

// overlap runs a second batch while the first has done its work and is not
// committed yet.
func (r *trial) overlap(conn, beside *pgx.Conn, first, second registry.Batch) error {
	r.t.Helper()
	tx, err := conn.Begin(r.t.Context())
	r.must(err, "begin")
	_, err = r.process(r.t.Context(), tx, first)
	r.must(err, "the Work fails in batch "+describe(first))
	done := make(chan error, 1)
	go func() { done <- r.commit(r.t.Context(), beside, second) }()
	ended, err := r.waitsOrEnds(tx, beside.PgConn().PID(), done)
	r.must(tx.Commit(r.t.Context()), "commit a batch")
	if !ended {
		err = <-done
	}
	return err
}

// workers runs batches on several sessions, and returns their errors.
func (r *trial) workers(batches []registry.Batch) []error {
	r.t.Helper()
	const workers = 4
	queue := make(chan registry.Batch)
	var problems []error
	var mutex sync.Mutex
	var all sync.WaitGroup
	for range workers {
		conn := r.another()
		all.Go(func() {
			for b := range queue {
				if err := r.commit(r.t.Context(), conn, b); err != nil {
					mutex.Lock()
					problems = append(problems, err)
					mutex.Unlock()
				}
			}
		})
	}
	for _, b := range batches {
		queue <- b
	}
	close(queue)
	all.Wait()
	return problems
}
