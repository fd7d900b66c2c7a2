package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// measurePeerBackfill measures a backfill by a polling worker that never sleeps in turns with
// the bare loop and with bbmd, and then what its default interval makes of it.
func (r *Report) measurePeerBackfill(ctx context.Context, server *pgserver.Server, o Options) (err error) {
	d, err := newDatabase(ctx, server, "peer_backfill")
	if err != nil {
		return err
	}
	defer d.close(ctx)
	p, err := startPeer(ctx, o, "gitlab", "-interval", "0", d.url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	n := o.sizes()
	measured, err := throughput(ctx, d, throughputCase{
		name: "beside a polling worker", keys: bigints, size: 1000, workers: 1, extent: n.peers.backfill,
		compared: []compared{{work: workSQL, commit: "on"}, {work: workSQL, commit: "off"}},
		further:  []variant{d.polling(p)},
	}, n, o)
	if err != nil {
		return err
	}
	r.throughput = append(r.throughput, measured)
	r.addPolling(measured, p.name)
	return r.measureSleptBackfill(ctx, d, o, measured)
}

// polling is a variant of throughput: a polling worker. Its tables are as autovacuum would leave
// them, as ours are.
func (d *database) polling(p *peer) variant {
	return variant{
		name: p.name + ", jobinterval 0",
		ready: func(ctx context.Context) error {
			return d.run(ctx, "VACUUM (ANALYZE) batched_background_migrations", "VACUUM (ANALYZE) batched_background_migration_jobs")
		},
		run: func(ctx context.Context, s slice) (timing, error) {
			before := p.cpu
			a, err := p.backfill(ctx, s.first(), s.last(), s.size)
			if err == nil && a.Jobs != len(s.batches) {
				err = fmt.Errorf("%d jobs for %d batches", a.Jobs, len(s.batches))
			}
			return timing{wall: a.Took, cpu: p.cpu - before}, err
		},
	}
}

func (p *peer) backfill(ctx context.Context, first, last string, size int) (peerAnswer, error) {
	from, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return peerAnswer{}, err
	}
	to, err := strconv.ParseInt(last, 10, 64)
	if err != nil {
		return peerAnswer{}, err
	}
	return p.ask(ctx, peerRequest{Do: "backfill", Table: "public.bench_rows", First: from, Last: to, Size: size})
}

// The variants of the case, behind the bare loop and itself.
const (
	peerOn = iota + 2
	peerOff
	peerPolling
)

// addPolling adds how bbmd compares with the worker, by the slices of the same rounds.
func (r *Report) addPolling(measured *result, name string) {
	for _, i := range []int{peerOn, peerOff} {
		brief := ""
		if i == peerOff {
			brief = briefPolling
		}
		var ratios []float64
		for _, round := range measured.samples {
			ratios = append(ratios, perRow(round[peerPolling].wall, round[peerPolling])/perRow(round[i].wall, round[i]))
		}
		r.lines = append(r.lines, line{
			section: SectionPeers, what: "rows a second of a backfill, " + measured.variants[i].name + "; beside " + name + " with jobinterval 0, 1,000 rows a batch each", brief: brief,
			value: count(measured.figures(i).rate), beside: count(measured.figures(peerPolling).rate), ratio: fmt.Sprintf("%.2f", median(ratios)),
			target: fmt.Sprintf("≥ %.2f", peerSpeedTarget), verdict: judgeAtLeast(median(ratios), peerSpeedTarget, measured.control(), uncertainty(ratios)),
		})
	}
}

// measureSleptBackfill measures the worker with its default interval, with batches as big as ours and with
// batches as big as in migrations of its own. Its sleeps are counted instead of slept.
func (r *Report) measureSleptBackfill(ctx context.Context, d *database, o Options, measured *result) error {
	return with(ctx, o, []string{"gitlab", "-skip", d.url}, func(p *peer) error {
		own := measured.figures(peerOff).rate
		for _, c := range []struct{ rows, size int }{{20_000, 1000}, {o.sizes().peers.big, 100_000}} {
			if err := d.fill(ctx, bigints, c.rows); err != nil {
				return err
			}
			last := strconv.Itoa(c.rows)
			a, err := p.backfill(ctx, "1", last, c.size)
			if err != nil {
				return err
			}
			if err := d.checkOnce(ctx, bigints, last); err != nil {
				return err
			}
			rate, brief := float64(c.rows)/a.Took.Seconds(), ""
			if c.size == measured.size {
				brief = briefPolling
			}
			r.lines = append(r.lines, line{
				section: SectionPeers, brief: brief, value: count(own), beside: count(rate), ratio: count(own / rate), target: "-", verdict: Shown,
				what: fmt.Sprintf("rows a second of a backfill, %s; beside %s with its default jobinterval, 1m, and %d rows a batch", measured.variants[peerOff].name, p.name, c.size),
			})
		}
		return nil
	})
}
