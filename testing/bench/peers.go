package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// peerSpeedTarget is the least rate of a backfill, relative to a polling worker's that never sleeps.
const peerSpeedTarget = 1.0

// resting is what somebody else sends while it has nothing to do.
type resting struct {
	what      string
	perMinute float64
}

// measurePeers measures what others do that run jobs or migrations in the background.
func (r *Report) measurePeers(ctx context.Context, server *pgserver.Server, o Options) (err error) {
	if o.Peers == "" {
		return nil
	}
	r.notes = append(r.notes, fmt.Sprintf("bbmd: the default settings, throttle included, where starts are measured: a listener, a pool of up to 4 connections, %d workers with a session each "+
		"while they work; backfills with 1 worker, batches of the size that is asked for, and no throttle", executor.DefaultSettings().Workers))
	river, err := r.startRiverAtRest(ctx, server, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, river.close(ctx)) }()
	if err := r.measurePollingAtRest(ctx, server, o); err != nil {
		return err
	}
	if err := r.measureStarts(ctx, server, o); err != nil {
		return err
	}
	if err := r.measurePeerBackfill(ctx, server, o); err != nil {
		return err
	}
	return r.readRiver(ctx, river, o)
}

// riverAtRest is a client of River that has nothing to do.
type riverAtRest struct {
	*statementLog
	*peer
}

func (p *riverAtRest) close(ctx context.Context) error {
	err := p.peer.close()
	p.database.close(ctx)
	return err
}

// startRiverAtRest starts the client, and returns when what it does at its start is over.
func (r *Report) startRiverAtRest(ctx context.Context, server *pgserver.Server, o Options) (*riverAtRest, error) {
	log, err := newStatementLog(ctx, server, "rest_river")
	if err != nil {
		return nil, err
	}
	p, err := startPeer(ctx, o, "river", log.url)
	if err != nil {
		log.close(ctx)
		return nil, err
	}
	rest := &riverAtRest{statementLog: log, peer: p}
	if err := errors.Join(pause(ctx, o.sizes().peers.warmUp), log.begin()); err != nil {
		return nil, errors.Join(err, rest.close(ctx))
	}
	return rest, nil
}

// readRiver counts what the client has sent, once there has been time enough for it.
func (r *Report) readRiver(ctx context.Context, rest *riverAtRest, o Options) error {
	if err := pause(ctx, max(0, o.sizes().peers.rest-time.Since(rest.since))); err != nil {
		return err
	}
	count, _, err := rest.statements()
	if err != nil {
		return err
	}
	connections, err := rest.connections(ctx)
	if err != nil {
		return err
	}
	r.noteSettings(rest.peer)
	r.resting = append([]resting{{
		what: fmt.Sprintf("%s (%d connections)", rest.name, connections), perMinute: float64(count) / time.Since(rest.since).Minutes(),
	}}, r.resting...)
	return nil
}

// measurePollingAtRest counts what a polling worker sends: in a day by its clock with its default interval, and
// in seconds where it does not wait at all.
func (r *Report) measurePollingAtRest(ctx context.Context, server *pgserver.Server, o Options) error {
	log, err := newStatementLog(ctx, server, "rest_polling")
	if err != nil {
		return err
	}
	defer log.close(ctx)
	n := o.sizes().peers
	for _, c := range []struct {
		what      string
		arguments []string
		rest      time.Duration
	}{
		{"%s, jobinterval 1m, over a day by its clock, in which its wait grows to 30m", []string{"gitlab", "-skip", log.url}, 24 * time.Hour},
		{"%s, jobinterval 0", []string{"gitlab", "-interval", "0", log.url}, n.spin},
	} {
		err := with(ctx, o, c.arguments, func(p *peer) error {
			if err := log.begin(); err != nil {
				return err
			}
			if _, err := p.ask(ctx, peerRequest{Do: "rest", Rest: c.rest}); err != nil {
				return err
			}
			count, _, err := log.statements()
			r.noteSettings(p)
			r.resting = append(r.resting, resting{fmt.Sprintf(c.what, p.name), float64(count) / c.rest.Minutes()})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// addResting adds what others send at rest, beside what bbmd sends.
func (r *Report) addResting(own float64, what string) {
	for i, p := range r.resting {
		l := line{
			section: SectionIdle, what: fmt.Sprintf("statements a minute of %s with nothing to do; beside %s", what, p.what),
			value: fmt.Sprintf("%.1f", own), beside: count(p.perMinute), ratio: smallRatio(own / p.perMinute), target: "-", verdict: Shown,
		}
		if i < len(r.resting)-1 { // what spins is not at rest
			l.brief = briefRest
		}
		r.lines = append(r.lines, l)
	}
}

// noteSettings remembers how a peer is set up, once for each set-up.
func (r *Report) noteSettings(p *peer) {
	note := p.name + ": " + p.settings
	if !slices.Contains(r.notes, note) {
		r.notes = append(r.notes, note)
	}
}

// count renders a number that may be of any size.
func count(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 10_000:
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprintf("%.0fk", v/1000)
	}
}

// smallRatio renders a ratio that may be far below 1.
func smallRatio(v float64) string {
	if v < 0.1 {
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	return fmt.Sprintf("%.2f", v)
}
