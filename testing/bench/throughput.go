package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/executor"
)

// variant is one way to get a slice done.
type variant struct {
	name   string
	brief  string                          // in the summary; empty: not there
	target float64                         // least ratio to the floor; 0: none
	ready  func(ctx context.Context) error // before the clock starts
	run    func(ctx context.Context, s slice) (timing, error)
}

// throughputCase is a floor, twice, and what is compared with it.
type throughputCase struct {
	name    string
	keys    keys
	size    int // rows in a batch
	workers int

	extent

	compared []compared
	further  []variant // besides
}

// compared is a Work under a commit mode.
type compared struct {
	work, commit string
	target       float64
	brief        string // in the summary; empty: not there
}

func throughputCases(n sizes) []throughputCase {
	return []throughputCase{
		{name: "bigint key, 1,000 rows a batch", keys: bigints, size: 1000, workers: 1, extent: n.cases[0], compared: []compared{
			{workSQL, "on", 1.00, ""}, {workSQL, "off", 1.12, briefSpeed}, {workGo, "on", 0.92, ""}, {workGo, "off", 0, ""},
		}},
		{name: "bigint key, 100 rows a batch", keys: bigints, size: 100, workers: 1, extent: n.cases[1], compared: []compared{
			{workSQL, "on", 0.95, ""}, {workSQL, "off", 1.25, ""},
		}},
		{name: "uuid key, 1,000 rows a batch", keys: uuids, size: 1000, workers: 1, extent: n.cases[2], compared: []compared{
			{workSQL, "on", 1.10, ""}, {workSQL, "off", 1.10, ""},
		}},
		{name: "bigint key, 1,000 rows a batch, four workers against four loops", keys: bigints, size: 1000, workers: 4, extent: n.cases[3], compared: []compared{
			{workSQL, "on", 0.95, ""}, {workSQL, "off", 0, ""},
		}},
	}
}

// result is a case's samples, a row of them per round.
type result struct {
	throughputCase

	variants []variant // the floor twice, then those compared
	samples  [][]sample
}

// sample is what one slice cost.
type sample struct {
	timing

	running       time.Duration // without the start-up, and whatever else lies outside of its row's start and end
	rows, batches int
	used          meter
}

// throughput measures one case, pass after pass, each on a new table.
func throughput(ctx context.Context, d *database, c throughputCase, n sizes, o Options) (*result, error) {
	rig, err := newRig(ctx, d, func() executor.Settings {
		s := executor.DefaultSettings()
		s.Workers = c.workers
		return s
	}(), o.Logger)
	if err != nil {
		return nil, err
	}
	defer rig.close()
	floor := &plain{db: d, keys: c.keys, conns: make([]*pgx.Conn, c.workers)}
	defer floor.close(ctx)
	r := &result{throughputCase: c, variants: variants(c, rig, floor)}
	perRound := c.slice * len(r.variants)
	perPass := max(1, n.tableRows/perRound)
	for done := 0; done < c.rounds; done += perPass {
		rounds := min(perPass, c.rounds-done)
		if err := r.pass(ctx, d, rounds, perRound); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		o.Logger.InfoContext(ctx, "measured", "case", c.name, "rounds", done+rounds, "of", c.rounds)
	}
	return r, nil
}

func variants(c throughputCase, r *rig, floor *plain) []variant {
	all := []variant{{name: "bare loop", ready: floor.ready, run: floor.run}, {name: "bare loop again (A/A)", ready: floor.ready, run: floor.run}}
	for _, w := range c.compared {
		name := "SQL Work"
		if w.work == workGo {
			name = "Go callback"
		}
		all = append(all, variant{
			name:   fmt.Sprintf("%s, synchronous_commit=%s", name, w.commit),
			brief:  w.brief,
			target: w.target,
			ready: func(ctx context.Context) error {
				return r.configure(ctx, func(s *executor.Settings) { s.SynchronousCommit = w.commit })
			},
			run: func(ctx context.Context, s slice) (timing, error) { return r.migrate(ctx, w.work, s, c.workers) },
		})
	}
	return append(all, c.further...)
}

// pass fills a table and gives each variant a slice of it in every round.
func (r *result) pass(ctx context.Context, d *database, rounds, perRound int) error {
	if err := d.fill(ctx, r.keys, rounds*perRound); err != nil {
		return err
	}
	all, err := d.batches(ctx, r.keys, rounds*perRound, r.size)
	if err != nil {
		return err
	}
	last := all[len(all)-1].last
	for range rounds {
		samples := make([]sample, len(r.variants))
		for _, i := range shuffled(len(r.variants)) {
			s := slice{batches: all[:r.slice/r.size], size: r.size}
			all = all[len(s.batches):]
			if samples[i], err = r.measure(ctx, d, r.variants[i], s); err != nil {
				return fmt.Errorf("%s: %w", r.variants[i].name, err)
			}
		}
		r.samples = append(r.samples, samples)
	}
	return d.checkOnce(ctx, r.keys, last)
}

// measure runs one variant on one slice. What is looked up about it comes after the clock.
func (r *result) measure(ctx context.Context, d *database, v variant, s slice) (sample, error) {
	if err := v.ready(ctx); err != nil {
		return sample{}, err
	}
	before, err := d.read(ctx, false)
	if err != nil {
		return sample{}, err
	}
	t, err := v.run(ctx, s)
	after, readErr := d.read(ctx, true)
	if err := errors.Join(err, readErr); err != nil {
		return sample{}, err
	}
	m := sample{timing: t, rows: s.rows(), batches: len(s.batches), used: meter{
		cpu: after.cpu - before.cpu + int64(t.cpu), wal: after.wal - before.wal, written: after.written - before.written,
	}}
	if t.migration == "" {
		m.running = t.wall
		return m, nil
	}
	m.running, err = d.elapsed(ctx, t.migration)
	return m, errors.Join(err, d.checkChain(ctx, t.migration, s))
}
