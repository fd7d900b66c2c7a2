package bench

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/explain"
)

// crowd is a control schema with finished jobs of one migration that is running, and with
// others that wait for their turn.
type crowd struct {
	*chain

	extentOfQueue

	counted *explain.Conn
	buffers map[string]explain.Cost
}

// operation is something that a daemon, or somebody who watches, does again and again.
type operation struct {
	name string
	run  func(ctx context.Context, c *crowd, db control.TxDB) error
}

const opEnqueue = "enqueue"

// operations are what is measured besides claims and fences.
func operations() []operation {
	store := control.Store{}
	return []operation{
		{"scan, as in each reconcile", func(ctx context.Context, _ *crowd, db control.TxDB) error { _, err := store.Scan(ctx, db); return err }},
		{"count, once a second", func(ctx context.Context, c *crowd, db control.TxDB) error {
			_, err := store.Count(ctx, db, c.migration, claimEpoch, "chain", control.Tally{Batches: 1, Keys: 1})
			return err
		}},
		{"keys passed, for the percentage", func(ctx context.Context, c *crowd, db control.TxDB) error {
			_, _, err := store.Passed(ctx, db, c.migration)
			return err
		}},
		{"status of one migration", func(ctx context.Context, _ *crowd, db control.TxDB) error {
			_, err := store.Progress(ctx, db, control.Selection{Names: []string{"chain"}})
			return err
		}},
		{"a page of 50 migrations", func(ctx context.Context, _ *crowd, db control.TxDB) error {
			_, err := store.ProgressPage(ctx, db, nil, 0, 50)
			return err
		}},
		{"whether it is finished", func(ctx context.Context, c *crowd, db control.TxDB) error {
			_, err := store.Finish(ctx, db, c.migration)
			return err
		}},
		{opEnqueue, func(ctx context.Context, c *crowd, db control.TxDB) error {
			c.queued++
			_, err := db.Exec(ctx, "SELECT bbm.enqueue('nothing', 'bench_rows', name => $1)", fmt.Sprintf("further %d", c.queued))
			return err
		}},
	}
}

// measureQueue measures every operation on a small control schema, twice, and on a large one.
func (r *Report) measureQueue(ctx context.Context, server *pgserver.Server, o Options) error {
	n := o.scale()
	var all []*crowd
	defer func() {
		for _, c := range all {
			c.close(ctx)
		}
	}()
	for i, extent := range []extentOfQueue{n.queue[0], n.queue[0], n.queue[1]} {
		d, err := newDatabase(ctx, server, fmt.Sprintf("queue_%d", i))
		if err != nil {
			return err
		}
		c := &crowd{chain: &chain{database: d, finished: extent.finished, times: make(map[string][]time.Duration)}, extentOfQueue: extent, buffers: make(map[string]explain.Cost)}
		all = append(all, c)
		if err := c.fill(ctx, n.tries+n.claims); err != nil {
			return err
		}
		o.Logger.InfoContext(ctx, "made migrations and finished jobs", "migrations", extent.queued, "jobs", extent.finished)
	}
	for try := range n.tries {
		for _, i := range shuffled(len(all)) {
			if err := all[i].once(ctx, try%countEach == 0); err != nil {
				return err
			}
		}
	}
	large := fmt.Sprintf(", %d migrations queued and %d jobs finished beside %d and %d", n.queue[1].queued, n.queue[1].finished, n.queue[0].queued, n.queue[0].finished)
	for _, name := range append([]string{opClaim, opFence}, names()...) {
		r.addCrowd(name+large, name, all)
	}
	return r.beside(ctx, all[2], all[0], n.claims)
}

func names() (all []string) {
	for _, op := range operations() {
		all = append(all, op.name)
	}
	return all
}

// fill makes the chain, and the queue.
func (c *crowd) fill(ctx context.Context, claims int) error {
	if err := c.prepare(ctx, 2*claims); err != nil {
		return err
	}
	err := c.run(ctx, fmt.Sprintf(`INSERT INTO bbm.batched_background_migrations (name, job_signature_name, table_name)
		SELECT 'queued ' || i, 'nothing', 'public.bench_rows' FROM generate_series(1, %d) i`, c.queued),
		"VACUUM (ANALYZE) bbm.batched_background_migrations", "VACUUM (ANALYZE) bbm.transitions")
	c.counted = explain.On(c.conn)
	return err
}

// countEach is how many tries there are for one whose buffers are counted.
const countEach = 10

// once claims, finishes and does everything else, on the clock, and counts the buffers of each if it is told to.
func (c *crowd) once(ctx context.Context, counts bool) error {
	if counts {
		if err := c.countClaim(ctx); err != nil {
			return err
		}
	}
	jobs, err := c.claim(ctx)
	if err != nil {
		return err
	}
	if err := c.finish(ctx, jobs); err != nil {
		return err
	}
	for _, op := range operations() {
		// Whatever it writes is undone, and its commit, which waits for the disk, is not waited for.
		if err := c.undone(ctx, func(tx pgx.Tx) error {
			began := time.Now()
			err := op.run(ctx, c, tx)
			c.times[op.name] = append(c.times[op.name], time.Since(began))
			return err
		}); err != nil {
			return err
		}
		if !counts {
			continue
		}
		if err := c.undone(ctx, func(tx pgx.Tx) error {
			counted := explain.On(tx)
			defer c.touched(op.name, counted)
			return op.run(ctx, c, counted)
		}); err != nil {
			return err
		}
	}
	if len(c.times[opClaim])%claimsASecond > 0 {
		return nil
	}
	_, err = control.Store{}.Count(ctx, c.conn, c.migration, claimEpoch, "chain", control.Tally{Batches: 1, Keys: 1})
	return err
}

// countClaim counts the buffers of a claim and of a fence, and undoes both.
func (c *crowd) countClaim(ctx context.Context) error {
	return c.undone(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "lock", c.migration, claimEpoch); err != nil {
			return err
		}
		counted := explain.On(tx)
		rows, err := counted.Query(ctx, fmt.Sprintf("EXECUTE claim(%d, %d, %d, %d)", c.migration, claimEpoch, claimSize, claimBatches))
		if err != nil {
			return err
		}
		jobs, err := pgx.CollectRows(rows, firstColumn)
		if err != nil {
			return err
		}
		c.touched(opClaim, counted)
		defer c.touched(opFence, counted)
		_, err = counted.Exec(ctx, fmt.Sprintf("EXECUTE fence(%d, %d)", jobs[0], claimEpoch))
		return err
	})
}

// touched adds what was counted of one try.
func (c *crowd) touched(op string, counted *explain.Conn) {
	c.buffers[op] = explain.Cost{Statements: c.buffers[op].Statements + 1, Buffers: c.buffers[op].Buffers + counted.Take().Buffers}
}

func (c *crowd) undone(ctx context.Context, do func(pgx.Tx) error) error {
	tx, err := c.conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := do(tx); err != nil {
		_ = tx.Rollback(ctx) // the first error is the one to tell
		return err
	}
	return tx.Rollback(ctx)
}

func (r *Report) addCrowd(what, op string, all []*crowd) {
	base := microseconds(all[0].times[op])
	own := microseconds(all[2].times[op])
	noise := math.Abs(median(microseconds(all[1].times[op]))/median(base) - 1)
	r.flat(SectionQueue, what, spread(own)+buffers(all[2].buffers[op]), spread(base)+buffers(all[0].buffers[op]), median(own)/median(base), noise)
}

func buffers(c explain.Cost) string {
	if c.Statements == 0 {
		return ""
	}
	return fmt.Sprintf(", %.0f buffers", float64(c.Buffers)/float64(c.Statements))
}

// beside goes on while another session holds a snapshot, which keeps the server from cleaning up
// behind the claims. How the machine changes meanwhile is told by the other, which goes on in turns, without one.
func (r *Report) beside(ctx context.Context, c, other *crowd, claims int) error {
	release, err := c.hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	quarter := claims / 4
	both := []*crowd{c, other}
	var early []map[string]explain.Cost
	for _, c := range both {
		clear(c.times)
		c.buffers = make(map[string]explain.Cost)
	}
	for try := range claims {
		if try == quarter {
			for _, c := range both {
				early, c.buffers = append(early, c.buffers), make(map[string]explain.Cost)
			}
		}
		counts := (try < quarter || try >= claims-quarter) && try%countEach == 0
		for _, i := range shuffled(len(both)) {
			if err := both[i].once(ctx, counts); err != nil {
				return err
			}
		}
	}
	for _, name := range append([]string{opClaim, opFence}, names()...) {
		own, ownNoise, first, last := c.growth(name)
		machine, noise, _, _ := other.growth(name)
		r.flat(SectionQueue, fmt.Sprintf("%s, the last quarter of %d claims beside the first, while another session holds an old snapshot; without one %.2f", name, claims, machine),
			spread(last)+buffers(c.buffers[name]), spread(first)+buffers(early[0][name]), own/machine, ownNoise+noise)
	}
	return nil
}

// growth is how much slower the last quarter of the tries was than the first, and how sure that is.
func (c *crowd) growth(op string) (ratio, noise float64, first, last []float64) {
	times := microseconds(c.times[op])
	quarter := len(times) / 4
	first, last = times[:quarter], times[len(times)-quarter:]
	return median(last) / median(first), uncertainty(first)/median(first) + uncertainty(last)/median(last), first, last
}
