package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/internal/throttle"
	"github.com/bbmd-dev/bbmd/registry"
)

const workStart = "bench_start"

// starter does something and says how long after its commit it was begun.
type starter func(ctx context.Context) (time.Duration, error)

// startCase is one way to have something done.
type startCase struct {
	what    string
	silence time.Duration // between one and the next
	open    func(ctx context.Context) (starter, func() error, error)
	blocks  [][]time.Duration
}

// measureStarts measures how soon work begins after the commit that asks for it, block by block in turns.
func (r *Report) measureStarts(ctx context.Context, server *pgserver.Server, o Options) error {
	d, err := newDatabase(ctx, server, "starts")
	if err != nil {
		return err
	}
	defer d.close(ctx)
	if err := d.run(ctx, "CREATE TABLE bench_start (id bigint PRIMARY KEY, b int NOT NULL DEFAULT 0)", "INSERT INTO bench_start VALUES (1)"); err != nil {
		return err
	}
	n := o.sizes().peers
	all := r.startCases(d, o)
	for range n.blocks {
		for _, i := range shuffled(len(all)) {
			if err := all[i].block(ctx, n.starts); err != nil {
				return fmt.Errorf("%s: %w", all[i].what, err)
			}
		}
	}
	r.addStarts(all)
	return r.measureSleptStarts(ctx, d, o, all[0])
}

// The cases: the first two are bbmd's, and each of the others is compared with one of them.
const (
	ownApart = iota
	ownAtOnce
	riverApart
	hastyApart
	pollingApart
	riverAtOnce
	hastyAtOnce
)

func (r *Report) startCases(d *database, o Options) []*startCase {
	silence := o.sizes().peers.silence
	ours := func(ctx context.Context) (starter, func() error, error) { return openOurs(ctx, d, o) }
	theirs := func(do peerRequest, arguments ...string) func(ctx context.Context) (starter, func() error, error) {
		return func(ctx context.Context) (starter, func() error, error) {
			p, err := startPeer(ctx, o, append(arguments, d.url)...)
			if err != nil {
				return nil, nil, err
			}
			r.noteSettings(p)
			return func(ctx context.Context) (time.Duration, error) {
				a, err := p.ask(ctx, do)
				return a.Took, err
			}, p.close, nil
		}
	}
	insert := peerRequest{Do: "insert"}
	polled := peerRequest{Do: "insert", Rest: 20 * time.Millisecond, Within: 20 * time.Millisecond, Table: "public.bench_start", First: 1, Last: 1, Size: 1000}
	return []*startCase{
		ownApart:     {silence: silence, open: ours},
		ownAtOnce:    {open: ours},
		riverApart:   {what: "a job of River", silence: silence, open: theirs(insert, "river")},
		hastyApart:   {what: "a job of River with FetchCooldown at its least, 1 ms", silence: silence, open: theirs(insert, "river", "-fetch-cooldown", "1ms")},
		pollingApart: {what: "a migration of GitLab's algorithm with jobinterval 0, which never sleeps", silence: silence, open: theirs(polled, "gitlab", "-interval", "0")},
		riverAtOnce:  {what: "a job of River", open: theirs(insert, "river")},
		hastyAtOnce:  {what: "a job of River with FetchCooldown at its least, 1 ms", open: theirs(insert, "river", "-fetch-cooldown", "1ms")},
	}
}

// block opens what is measured, tries once unmeasured, and then so many times.
func (c *startCase) block(ctx context.Context, tries int) (err error) {
	start, end, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	if _, err := start(ctx); err != nil {
		return err
	}
	took := make([]time.Duration, tries)
	for i := range took {
		if err := pause(ctx, c.silence); err != nil {
			return err
		}
		if took[i], err = start(ctx); err != nil {
			return err
		}
	}
	c.blocks = append(c.blocks, took)
	return nil
}

// openOurs is an executor with a Work in Go that says when it is called.
func openOurs(ctx context.Context, d *database, o Options) (starter, func() error, error) {
	called := make(chan time.Time, 1)
	settings, limits := executor.DefaultSettings(), throttle.Default()
	settings.Throttle = &limits // as the daemon has it
	rig, err := newRig(ctx, d, settings, o.Logger, registry.Work{
		Name: workStart,
		Run: func(context.Context, pgx.Tx, registry.Batch) (registry.Result, error) {
			called <- time.Now()
			return registry.Result{}, nil
		},
	})
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context) (time.Duration, error) {
		rig.forget()
		committed, err := rig.enqueueStart(ctx)
		if err != nil {
			return 0, err
		}
		at, err := receive(ctx, called)
		if err != nil {
			return 0, err
		}
		_, err = receive(ctx, rig.ends)
		return at.Sub(committed), err
	}, func() error { rig.close(); return nil }, nil
}

// enqueueStart enqueues a migration in a transaction, and returns when its commit was sent.
func (r *rig) enqueueStart(ctx context.Context) (committed time.Time, err error) {
	tx, err := r.db.admin.Begin(ctx)
	if err != nil {
		return committed, fmt.Errorf("enqueue: %w", err)
	}
	if _, err := tx.Exec(ctx, "SELECT bbm.enqueue($1, 'bench_start', name => gen_random_uuid()::text)", workStart); err != nil {
		return committed, errors.Join(fmt.Errorf("enqueue: %w", err), tx.Rollback(ctx))
	}
	committed = time.Now()
	return committed, tx.Commit(ctx)
}

// addStarts has no targets: a job of a queue has less to do before it begins than a migration, which is
// planned and gets a session of its own first.
func (r *Report) addStarts(all []*startCase) {
	for i, c := range all[riverApart:] {
		own, when, brief := all[ownAtOnce], "as soon as the one before has ended", ""
		if c.silence > 0 {
			own, when = all[ownApart], fmt.Sprintf("%d ms apart", c.silence.Milliseconds())
		}
		if i += riverApart; i == riverApart || i == riverAtOnce {
			brief = briefStart
		}
		values, others := flatten(own.blocks, 0, 1), flatten(c.blocks, 0, 1)
		control := median(flatten(own.blocks, 0, 2)) / median(flatten(own.blocks, 1, 2))
		r.lines = append(r.lines, line{
			section: SectionPeers, what: fmt.Sprintf("from the COMMIT that enqueues a migration until its Work in Go is called, %s; beside %s", when, c.what), brief: brief,
			value: milli(values), beside: milli(others), ratio: fmt.Sprintf("%s (A/A %.2f)", smallRatio(median(values)/median(others)), control),
			target: "-", verdict: Shown,
		})
	}
}

// measureSleptStarts measures a polling worker with its default interval, whose sleeps are counted instead of slept.
func (r *Report) measureSleptStarts(ctx context.Context, d *database, o Options, own *startCase) error {
	values := flatten(own.blocks, 0, 1)
	return with(ctx, o, []string{"gitlab", "-skip", d.url}, func(p *peer) error {
		r.noteSettings(p)
		for _, c := range []struct {
			what         string
			rest, within time.Duration
		}{
			{"within a minute of its last job", 0, time.Minute},
			{"after six hours without any", 6 * time.Hour, 30 * time.Minute},
		} {
			var slept []time.Duration
			for range o.sizes().peers.slept {
				a, err := p.ask(ctx, peerRequest{Do: "insert", Rest: c.rest, Within: c.within, Table: "public.bench_start", First: 1, Last: 1, Size: 1000})
				if err != nil {
					return err
				}
				slept = append(slept, a.Took)
			}
			others := microseconds(slept)
			r.lines = append(r.lines, line{
				section: SectionPeers, what: fmt.Sprintf("the same, %d ms apart; beside a migration of %s with its default jobinterval, 1m, by its clock, at a random moment %s", own.silence.Milliseconds(), p.name, c.what), brief: briefSlept,
				value: milli(values), beside: fmt.Sprintf("%s s (p99 %.0f)", strconv.FormatFloat(median(others)/1e6, 'f', 0, 64), quantile(others, 0.99)/1e6),
				ratio: smallRatio(median(values) / median(others)), target: "-", verdict: Shown,
			})
		}
		return nil
	})
}

// milli renders a median and a 99th percentile of microseconds.
func milli(microseconds []float64) string {
	middle, high := median(microseconds)/1000, quantile(microseconds, 0.99)/1000
	if middle >= 10_000 {
		return fmt.Sprintf("%.1f s (p99 %.1f)", middle/1000, high/1000)
	}
	return fmt.Sprintf("%.1f ms (p99 %.1f)", middle, high)
}
