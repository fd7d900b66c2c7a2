package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/internal/throttle"
)

// foregroundTarget is what a throttled backfill may do to the 99th percentile of the others.
const foregroundTarget = 1.25

// beside is what runs beside the foreground in one slice.
type beside struct {
	name     string
	backfill bool
	throttle *throttle.Config // nil: none
	target   float64          // of the 99th percentile, relative to that beside nothing; 0: none
}

// besides are the variants, the first two of which are equals. The last has no throttle.
func besides() []beside {
	shipped, gentle := throttle.Default(), throttle.Default()
	gentle.Traffic.Duty /= 2
	return []beside{
		{name: "nothing"},
		{name: "nothing again"},
		{name: "a throttled backfill", backfill: true, throttle: &shipped, target: foregroundTarget},
		{name: "a gentle backfill (traffic.duty " + gentle.Traffic.Duty.String() + ")", backfill: true, throttle: &gentle},
		{name: "an unthrottled backfill", backfill: true},
	}
}

// heard is what one slice has shown.
type heard struct {
	latencies map[string][]float64 // microseconds, by transaction
	rows      int64                // that the backfill passed
}

// measureForeground runs transactions at a fixed rate, beside nothing and beside
// backfills of a table that some of them use too, in turns.
func (r *Report) measureForeground(ctx context.Context, server *pgserver.Server, o Options) error {
	n := o.sizes().foreground
	d, err := newDatabase(ctx, server, "foreground")
	if err != nil {
		return err
	}
	defer d.close(ctx)
	if err := d.fillForeground(ctx, n.rows); err != nil {
		return err
	}
	rig, err := newRig(ctx, d, executor.DefaultSettings(), o.Logger)
	if err != nil {
		return err
	}
	defer rig.close()
	clients, err := newClients(ctx, d, n.rows)
	if err != nil {
		return err
	}
	defer clients.close(ctx)
	all := besides()
	rounds := make([][]heard, 0, n.rounds)
	for range n.rounds {
		round := make([]heard, len(all))
		for _, i := range shuffled(len(all)) {
			if round[i], err = rig.beside(ctx, clients, all[i], n.settle, n.slice); err != nil {
				return fmt.Errorf("beside %s: %w", all[i].name, err)
			}
		}
		rounds = append(rounds, round)
		o.Logger.InfoContext(ctx, "measured", "case", "foreground", "rounds", len(rounds), "of", n.rounds)
	}
	r.addForeground(all, rounds)
	return nil
}

// beside runs the foreground for a slice, beside a backfill or nothing, once that has settled.
func (r *rig) beside(ctx context.Context, c *clients, b beside, settle, length time.Duration) (heard, error) {
	if err := r.configure(ctx, func(s *executor.Settings) { s.Throttle = b.throttle }); err != nil {
		return heard{}, err
	}
	if err := r.db.run(ctx, "CHECKPOINT"); err != nil {
		return heard{}, err
	}
	backfilling, stop := context.WithCancel(ctx)
	defer stop()
	var rows int64
	var failed error
	var ended sync.WaitGroup
	if b.backfill {
		ended.Go(func() { rows, failed = r.keepBackfilling(backfilling) })
	}
	err := c.run(ctx, settle)
	c.take()
	if err == nil {
		err = c.run(ctx, length)
	}
	stop()
	ended.Wait()
	if err := errors.Join(err, failed); err != nil {
		return heard{}, err
	}
	return heard{latencies: c.take(), rows: rows}, r.quiet(ctx)
}

// keepBackfilling runs one migration after the other until ctx ends, cancels
// the last one, and returns how many rows they passed.
func (r *rig) keepBackfilling(ctx context.Context) (rows int64, err error) {
	whole := context.WithoutCancel(ctx)
	for ctx.Err() == nil {
		r.count++
		r.forget()
		name := fmt.Sprintf("beside_%d", r.count)
		if _, err := r.db.admin.Exec(whole, "SELECT bbm.enqueue($1, 'bench_rows', name => $2)", workSQL, name); err != nil {
			return rows, fmt.Errorf("enqueue %s: %w", name, err)
		}
		select {
		case e := <-r.ends:
			if e.status != "finished" {
				return rows, fmt.Errorf("migration %s is %s", e.migration, e.status)
			}
		case <-ctx.Done():
		}
		var finished *pgconn.PgError // before it could be cancelled
		if _, err := r.db.admin.Exec(whole, "SELECT bbm.cancel($1) FROM bbm.progress WHERE name = $1 AND status <> 'finished'", name); err != nil && (!errors.As(err, &finished) || finished.Code != "55000") {
			return rows, fmt.Errorf("cancel %s: %w", name, err)
		}
		if err := r.quiet(whole); err != nil {
			return rows, err
		}
		var passed int64
		if err := r.db.admin.QueryRow(whole, "SELECT keys_done FROM bbm.progress WHERE name = $1", name).Scan(&passed); err != nil {
			return rows, fmt.Errorf("look up %s: %w", name, err)
		}
		rows += passed
	}
	return rows, nil
}

// addForeground adds the lines: for each kind of transaction the 99th percentile beside
// each backfill, relative to that beside nothing in the same round.
func (r *Report) addForeground(all []beside, rounds [][]heard) {
	for _, kind := range transactions() {
		at := func(i int) []float64 {
			values := make([]float64, 0, len(rounds))
			for _, round := range rounds {
				values = append(values, quantile(round[i].latencies[kind.name], 0.99))
			}
			return values
		}
		first, again := at(0), at(1)
		control := median(quotients(first, again))
		for i := 2; i < len(all); i++ {
			ratios := make([]float64, len(rounds))
			for n, own := range at(i) {
				ratios[n] = own / ((first[n] + again[n]) / 2)
			}
			l := line{
				section: SectionForeground, what: fmt.Sprintf("p99 of a transaction %s, beside %s", kind.what, all[i].name),
				value: milliseconds(at(i)), beside: milliseconds(append(first, again...)), ratio: fmt.Sprintf("%.2f (A/A %.2f)", median(ratios), control),
				target: "-", verdict: Shown,
			}
			if target := all[i].target; target != 0 {
				l.target = fmt.Sprintf("≤ %.2f", target)
				l.verdict = judgeAtMost(median(ratios), target, max(math.Abs(control-1), uncertainty(ratios)))
			}
			r.lines = append(r.lines, l)
		}
	}
	r.addBackfillSpeed(all, rounds)
}

// addBackfillSpeed adds how much of their full speed the throttled backfills had meanwhile.
func (r *Report) addBackfillSpeed(all []beside, rounds [][]heard) {
	rows := func(i int) []float64 {
		values := make([]float64, 0, len(rounds))
		for _, round := range rounds {
			values = append(values, float64(round[i].rows))
		}
		return values
	}
	full := len(all) - 1
	for i, b := range all[:full] {
		if !b.backfill {
			continue
		}
		r.lines = append(r.lines, line{
			section: SectionForeground, what: "rows that " + b.name + " passes beside it", value: fmt.Sprintf("%.0fk", median(rows(i))/1000),
			beside: fmt.Sprintf("%.0fk by %s", median(rows(full))/1000, all[full].name),
			ratio:  fmt.Sprintf("%.3f", median(quotients(rows(i), rows(full)))), target: "-", verdict: Shown,
		})
	}
}

// quotients divides pair by pair.
func quotients(a, b []float64) []float64 {
	all := make([]float64, len(a))
	for i := range a {
		all[i] = a[i] / b[i]
	}
	return all
}

func milliseconds(microseconds []float64) string {
	return fmt.Sprintf("%.1f ms", median(microseconds)/1000)
}
