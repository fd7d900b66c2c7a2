package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// closing bounds the end of the server.
const closing = time.Minute

// Run starts a server, measures, and stops it. An error means that something went
// wrong, a row that was not changed exactly once above all; a missed target is a
// verdict in the report.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	for _, name := range o.Only {
		if !slices.Contains(Sections(), name) {
			return nil, fmt.Errorf("there is no section %q: choose of %v", name, Sections())
		}
	}
	if o.Peers == "" && slices.Contains(o.Only, SectionPeers) {
		return nil, fmt.Errorf("the section %s needs the program of testing/bench/peers: build it, and give its path by -peers", SectionPeers)
	}
	server, err := startServer(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
		defer cancel()
		err = errors.Join(err, server.Close(ctx))
	}()
	r := &Report{sections: Sections(), alone: o.Peers == "", quick: o.Quick}
	r.machine.server = server.Binaries().Version
	dir := filepath.Dir(server.LogPath())
	if err := r.machine.begin(dir); err != nil {
		return nil, err
	}
	if err := r.measure(ctx, server, o); err != nil {
		return nil, err
	}
	return r, r.machine.end(dir)
}

// measure runs the sections. What is at rest is watched while the others run.
func (r *Report) measure(ctx context.Context, server *pgserver.Server, o Options) error {
	var rest *rest
	if o.wants(SectionIdle) {
		var err error
		if rest, err = startRest(ctx, server, o); err != nil {
			return fmt.Errorf("%s: %w", SectionIdle, err)
		}
		defer rest.close(ctx)
	}
	for _, s := range []struct {
		name string
		run  func(context.Context, *pgserver.Server, Options) error
	}{
		{SectionWake, r.measureWakes},
		{SectionClaim, r.measureClaims},
		{SectionThroughput, r.measureThroughput},
		{SectionForeground, r.measureForeground},
		{SectionSparse, r.measureSparse},
		{SectionStartUp, r.measureStartUp},
		{SectionPlugins, r.measurePlugins},
		{SectionPeers, r.measurePeers},
	} {
		if !o.wants(s.name) {
			continue
		}
		if err := s.run(ctx, server, o); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if rest == nil {
		return nil
	}
	l, err := rest.line(ctx, o)
	if err != nil {
		return fmt.Errorf("%s: %w", SectionIdle, err)
	}
	r.lines = append(r.lines, l)
	connections, err := rest.connections(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", SectionIdle, err)
	}
	r.addResting(rest.perMinute, fmt.Sprintf("%s (%d connections)", rest.what, connections))
	return nil
}

func (r *Report) measureThroughput(ctx context.Context, server *pgserver.Server, o Options) error {
	n := o.sizes()
	for i, c := range throughputCases(n) {
		d, err := newDatabase(ctx, server, fmt.Sprintf("throughput_%d", i))
		if err != nil {
			return err
		}
		measured, err := throughput(ctx, d, c, n, o)
		d.close(ctx)
		if err != nil {
			return err
		}
		r.throughput = append(r.throughput, measured)
	}
	return nil
}
