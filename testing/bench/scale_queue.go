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
	for range n.tries {
		for _, i := range shuffled(len(all)) {
			if err := all[i].once(ctx, true); err != nil {
				return err
			}
		}
	}
	large := fmt.Sprintf(", %d migrations queued and %d jobs finished beside %d and %d", n.queue[1].queued, n.queue[1].finished, n.queue[0].queued, n.queue[0].finished)
	for _, name := range append([]string{opClaim, opFence}, names()...) {
		r.addCrowd(name+large, name, all)
	}
	return r.beside(ctx, all[2], n.claims)
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

// once claims, finishes and does everything else, on the clock, and then counts the buffers
// of everything else.
func (c *crowd) once(ctx context.Context, buffers bool) error {
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
		if !buffers || len(c.times[op.name])%10 != 1 {
			continue
		}
		if err := c.undone(ctx, func(tx pgx.Tx) error {
			counted := explain.On(tx)
			err := op.run(ctx, c, counted)
			cost := counted.Take()
			c.buffers[op.name] = explain.Cost{Statements: c.buffers[op.name].Statements + 1, Buffers: c.buffers[op.name].Buffers + cost.Buffers}
			return err
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
	touched := func(c *crowd) string {
		cost := c.buffers[op]
		if cost.Statements == 0 {
			return ""
		}
		return fmt.Sprintf(", %.0f buffers", float64(cost.Buffers)/float64(cost.Statements))
	}
	r.flat(SectionQueue, what, spread(own)+touched(all[2]), spread(base)+touched(all[0]), median(own)/median(base), noise)
}

// beside goes on while another session holds a snapshot, which keeps the server from cleaning up
// behind the claims.
func (r *Report) beside(ctx context.Context, c *crowd, claims int) error {
	release, err := c.hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	clear(c.times)
	for range claims {
		if err := c.once(ctx, false); err != nil {
			return err
		}
	}
	quarter := claims / 4
	for _, name := range append([]string{opClaim, opFence}, names()...) {
		times := microseconds(c.times[name])
		first, last := times[:quarter], times[len(times)-quarter:]
		noise := uncertainty(first)/median(first) + uncertainty(last)/median(last)
		r.flat(SectionQueue, fmt.Sprintf("%s, the last %d of %d claims beside the first, while another session holds an old snapshot", name, quarter, claims),
			spread(last), spread(first), median(last)/median(first), noise)
	}
	return nil
}
