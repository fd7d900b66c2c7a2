package bench

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

const (
	claimEpoch   = 1
	claimBatches = 2  // in a block: few and small, so that what is measured is the job table
	claimSize    = 10 // rows in a batch
	claimTarget  = 1.2

	claimsASecond = 20 // after so many a worker has counted
)

// bigintLookups cut batches of bench_rows, as the executor renders it for a bigint key.
func bigintLookups() control.Lookups {
	end := func(comparison, from string) string {
		return fmt.Sprintf("SELECT x.id::text FROM (SELECT x.id FROM public.bench_rows x WHERE x.id %s %s::bigint AND x.id <= w.stop::bigint ORDER BY x.id OFFSET $3::int - 1 LIMIT 1) x", comparison, from)
	}
	return control.Lookups{FirstEnd: end(">=", "w.first"), NextEnd: end(">", "w.hi"), Start: "NULL", Rest: "$3::int"}
}

// chain is a running migration, in a database of its own, that has so many finished jobs.
type chain struct {
	*database

	finished  int
	migration int32
	conn      *pgx.Conn // a worker's session
	times     map[string][]time.Duration
}

// What is measured of a chain.
const (
	opClaim = "claim of two batches"
	opFence = "fence"
	opScan  = "scan"
)

func (r *Report) measureClaims(ctx context.Context, server *pgserver.Server, o Options) error {
	n := o.sizes()
	var all []*chain
	defer func() {
		for _, c := range all {
			c.close(ctx)
		}
	}()
	for i, finished := range append([]int{n.finished[0]}, n.finished...) { // the smallest twice: the control
		d, err := newDatabase(ctx, server, fmt.Sprintf("claim_%d", i))
		if err != nil {
			return err
		}
		c := &chain{database: d, finished: finished}
		all = append(all, c)
		if err := c.prepare(ctx, 2*n.claims); err != nil {
			return err
		}
		o.Logger.InfoContext(ctx, "made finished jobs", "jobs", finished)
	}
	if err := r.claimAll(ctx, all, n.claims, ""); err != nil {
		return err
	}
	for _, c := range all {
		release, err := c.hold(ctx)
		if err != nil {
			return err
		}
		defer release()
	}
	return r.claimAll(ctx, all, n.claims, ", while another session holds an old snapshot")
}

// prepare makes the table, the migration and its finished jobs, whose chain ends at key 0.
func (c *chain) prepare(ctx context.Context, claims int) error {
	rows := claims * claimBatches * claimSize
	if err := c.fill(ctx, bigints, rows); err != nil {
		return err
	}
	if err := c.run(ctx, "INSERT INTO bbm.batched_background_migrations (name, job_signature_name, table_name) VALUES ('chain', 'nothing', 'bench_rows')"); err != nil {
		return err
	}
	target := control.Target{Table: "public.bench_rows", KeyColumns: []string{"id"}, KeyTypes: []string{"bigint"}, WorkVersion: 1, MinValue: new(strconv.Itoa(-c.finished)), MaxValue: new(strconv.Itoa(rows))}
	err := c.admin.QueryRow(ctx, "SELECT id, 'bench_rows'::regclass::oid FROM bbm.batched_background_migrations").Scan(&c.migration, &target.OID)
	if err != nil {
		return fmt.Errorf("look up the migration: %w", err)
	}
	if _, err := (control.Store{}).Start(ctx, c.admin, c.migration, target); err != nil {
		return err
	}
	err = c.run(ctx, fmt.Sprintf(`INSERT INTO bbm.batched_background_migration_jobs
		(batched_background_migration_id, ordinal, after_value, max_value, batch_size, status, attempts, rows_affected, duration_ms, finished_at)
		SELECT %d, i, (i - 1 - %[2]d)::text, (i - %[2]d)::text, 1, 'finished', 1, 1, 1, clock_timestamp() FROM generate_series(1, %[2]d) i`, c.migration, c.finished),
		"VACUUM (ANALYZE) bbm.batched_background_migration_jobs", "CHECKPOINT")
	if err != nil {
		return err
	}
	return c.prepareSession(ctx)
}

func (c *chain) prepareSession(ctx context.Context) (err error) {
	if c.conn, err = c.connect(ctx, "bench claims"); err != nil {
		return err
	}
	var index uint32
	if err := c.conn.QueryRow(ctx, "SELECT 'public.bench_rows_pkey'::regclass::oid").Scan(&index); err != nil {
		return fmt.Errorf("look up the key's index: %w", err)
	}
	store := control.Store{}
	statements := map[string]string{
		"lock": store.ClaimLockSQL(), "claim": store.ClaimSQL(bigintLookups()), "state": store.StateSQL(), "fence": store.FenceSQL("public.bench_rows", index),
	}
	for name, sql := range statements {
		if _, err := c.conn.Prepare(ctx, name, sql); err != nil {
			return fmt.Errorf("prepare %s: %w", name, err)
		}
	}
	return nil
}

// hold opens a snapshot that keeps the server from cleaning up.
func (c *chain) hold(ctx context.Context) (release func(), err error) {
	conn, err := c.connect(ctx, "bench snapshot")
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM bench_rows WHERE id = 1"); err != nil {
		closeConn(ctx, conn)
		return nil, fmt.Errorf("hold a snapshot: %w", err)
	}
	return func() { closeConn(ctx, conn) }, nil
}

// claimAll claims and finishes in turns, and adds a line for each chain and operation. The
// first two chains are equals.
func (r *Report) claimAll(ctx context.Context, all []*chain, tries int, circumstance string) error {
	for _, c := range all {
		c.times = make(map[string][]time.Duration)
	}
	for range tries {
		for _, i := range shuffled(len(all)) {
			if err := all[i].once(ctx); err != nil {
				return err
			}
		}
	}
	for _, op := range []string{opClaim, opFence, opScan} {
		base := microseconds(all[0].times[op])
		noise := math.Abs(median(microseconds(all[1].times[op]))/median(base) - 1)
		for _, c := range all[2:] {
			own := microseconds(c.times[op])
			what := fmt.Sprintf("%s, %d finished jobs beside %d%s", op, c.finished, all[0].finished, circumstance)
			r.addClaim(what, own, base, noise, claimTarget)
		}
		if op == opClaim && circumstance == "" {
			r.lines[len(r.lines)-1].brief = briefClaim
		}
		target := claimTarget
		if op == opFence { // not promised: it writes
			target = 0
		}
		last := microseconds(all[len(all)-1].times[op])
		quarter := len(last) / 4
		r.addClaim(fmt.Sprintf("%s, the last %d of %d beside the first%s", op, quarter, len(last), circumstance), last[len(last)-quarter:], last[:quarter], noise, target)
	}
	return nil
}

func (r *Report) addClaim(what string, own, base []float64, noise, target float64) {
	ratio := median(own) / median(base)
	l := line{section: SectionClaim, what: what, value: spread(own), beside: spread(base), ratio: fmt.Sprintf("%.2f (A/A %.2f)", ratio, 1+noise), target: "-", verdict: Shown}
	if target > 0 {
		l.target, l.verdict = fmt.Sprintf("≤ %.1f", target), judgeAtMost(ratio, target, noise)
	}
	r.lines = append(r.lines, l)
}

// once claims a block, finishes its jobs, and scans. Commits, which wait for the disk, are
// outside of the clock.
func (c *chain) once(ctx context.Context) error {
	jobs, err := c.claim(ctx)
	if err != nil {
		return err
	}
	if err := c.finish(ctx, jobs); err != nil {
		return err
	}
	began := time.Now()
	if _, err := (control.Store{}).Scan(ctx, c.conn); err != nil {
		return err
	}
	c.times[opScan] = append(c.times[opScan], time.Since(began))
	if len(c.times[opScan])%claimsASecond > 0 {
		return nil
	}
	_, err = control.Store{}.Count(ctx, c.conn, c.migration, claimEpoch, "chain", control.Tally{Batches: claimsASecond, Keys: claimsASecond})
	return err
}

func (c *chain) claim(ctx context.Context) (jobs []int64, err error) {
	err = pgx.BeginFunc(ctx, c.conn, func(tx pgx.Tx) error {
		began := time.Now()
		group := &pgx.Batch{}
		group.Queue("lock", c.migration, claimEpoch)
		group.Queue("claim", c.migration, claimEpoch, claimSize, claimBatches).Query(func(rows pgx.Rows) error {
			var err error
			jobs, err = pgx.CollectRows(rows, firstColumn)
			return err
		})
		group.Queue("state", c.migration)
		if err := tx.SendBatch(ctx, group).Close(); err != nil {
			return err
		}
		c.times[opClaim] = append(c.times[opClaim], time.Since(began))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	if len(jobs) != claimBatches {
		return nil, fmt.Errorf("claim: %d jobs, not %d", len(jobs), claimBatches)
	}
	return jobs, nil
}

// firstColumn reads a bigint, whatever else the row has.
func firstColumn(row pgx.CollectableRow) (int64, error) {
	values, err := row.Values()
	if err != nil {
		return 0, err
	}
	id, ok := values[0].(int64)
	if !ok {
		return 0, fmt.Errorf("a %T is not a job's id", values[0])
	}
	return id, nil
}

func (c *chain) finish(ctx context.Context, jobs []int64) error {
	err := pgx.BeginFunc(ctx, c.conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL synchronous_commit = off"); err != nil {
			return err
		}
		for _, job := range jobs {
			began := time.Now()
			if _, err := tx.Exec(ctx, "fence", job, claimEpoch); err != nil {
				return err
			}
			c.times[opFence] = append(c.times[opFence], time.Since(began))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("finish jobs: %w", err)
	}
	return nil
}

func (c *chain) close(ctx context.Context) {
	if c.conn != nil {
		closeConn(ctx, c.conn)
	}
	c.database.close(ctx)
}
