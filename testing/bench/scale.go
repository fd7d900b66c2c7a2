package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// The sections of a report about size.
const (
	SectionRows      = "rows"
	SectionQueue     = "queue"
	SectionReplicas  = "replicas"
	SectionDatabases = "databases"
	SectionMemory    = "memory"
	SectionProfile   = "profile"
)

// ScaleSections returns the names of the sections of [Scale], in the order in which they run.
func ScaleSections() []string {
	return []string{SectionRows, SectionQueue, SectionReplicas, SectionDatabases, SectionMemory, SectionProfile}
}

// scaleTarget is what anything may cost at size, relative to what it costs when small.
const scaleTarget = 1.3

// scaleSizes are how large things are.
type scaleSizes struct {
	rows      []int // of tables; the last one is backfilled
	queue     [2]extentOfQueue
	tries     int // of each operation
	claims    int // beside an old snapshot
	replicas  int
	batches   int // of each migration that one of the replicas works through
	worked    int // such migrations
	databases int
	jobs      int // finished, of the daemon whose memory is looked at
	profiled  int // rows of a migration whose batches are profiled
	minute    bool
}

// extentOfQueue is what a control schema holds.
type extentOfQueue struct{ queued, finished int }

func (o Options) scale() scaleSizes {
	switch {
	case o.Tiny:
		return scaleSizes{
			rows: []int{1000, 5000, 20_000}, queue: [2]extentOfQueue{{100, 100}, {300, 2000}}, tries: 3, claims: 8,
			replicas: 2, batches: 4, worked: 2, databases: 2, jobs: 1000, profiled: 4000,
		}
	case o.Quick:
		return scaleSizes{
			rows: []int{1000, 100_000, 3_000_000}, queue: [2]extentOfQueue{{100, 1000}, {10_000, 300_000}}, tries: 200, claims: 2000,
			replicas: 8, batches: 100, worked: 40, databases: 50, jobs: 100_000, profiled: 200_000, minute: true,
		}
	default:
		return scaleSizes{
			rows: []int{1000, 100_000, 3_000_000, 30_000_000}, queue: [2]extentOfQueue{{100, 1000}, {10_000, 3_000_000}}, tries: 400, claims: 4000,
			replicas: 8, batches: 200, worked: 100, databases: 50, jobs: 1_000_000, profiled: 1_000_000, minute: true,
		}
	}
}

// Scale starts a server, measures what things cost when there is much of them, and stops it. As with [Run],
// an error means that something went wrong, and a missed target is a verdict.
func Scale(ctx context.Context, o Options) (report *Report, err error) {
	for _, name := range o.Only {
		if !slices.Contains(ScaleSections(), name) {
			return nil, fmt.Errorf("there is no section %q: choose of %v", name, ScaleSections())
		}
	}
	server, err := startScaleServer(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
		defer cancel()
		err = errors.Join(err, server.Close(ctx))
	}()
	r := &Report{sections: ScaleSections(), quick: o.Quick}
	r.machine.server = server.Binaries().Version
	dir := filepath.Dir(server.LogPath())
	if err := r.machine.begin(dir); err != nil {
		return nil, err
	}
	for _, s := range []struct {
		name string
		run  func(context.Context, *pgserver.Server, Options) error
	}{
		{SectionRows, r.measureRows},
		{SectionQueue, r.measureQueue},
		{SectionReplicas, r.measureReplicas},
		{SectionDatabases, r.measureDatabases},
		{SectionMemory, r.measureMemory},
		{SectionProfile, r.measureProfile},
	} {
		if !o.wants(s.name) {
			continue
		}
		o.Logger.InfoContext(ctx, "measuring", "section", s.name)
		if err := s.run(ctx, server, o); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return r, r.machine.end(dir)
}

// startScaleServer starts a durable server that has room for the sessions of many databases.
func startScaleServer(ctx context.Context, o Options) (*pgserver.Server, error) {
	settings := map[string]string{
		"autovacuum": "off", "checkpoint_timeout": "1h", "max_wal_size": "4GB", "min_wal_size": "1GB", "shared_buffers": "2GB", "max_connections": "1000",
	}
	if o.Tiny {
		settings["max_wal_size"], settings["min_wal_size"], settings["shared_buffers"] = "1GB", "80MB", "128MB"
	}
	binaries, err := pgserver.Find(ctx)
	if err != nil {
		return nil, err
	}
	if o.wants(SectionProfile) && countsStatements(binaries) {
		settings["shared_preload_libraries"], settings["pg_stat_statements.track"] = "pg_stat_statements", "none" // but in the section's own database
	}
	return pgserver.Start(ctx, pgserver.Options{Durable: true, Settings: settings, Binaries: binaries})
}

// flat adds a line that says how much more something costs at size.
func (r *Report) flat(section, what, value, beside string, ratio, noise float64) {
	r.lines = append(r.lines, line{
		section: section, what: what, value: value, beside: beside, ratio: fmt.Sprintf("%.2f", ratio),
		target: fmt.Sprintf("≤ %.1f", scaleTarget), verdict: judgeAtMost(ratio, scaleTarget, noise),
	})
}

// shown adds a line without a target.
func (r *Report) shown(section, what, value, beside string) {
	r.lines = append(r.lines, line{section: section, what: what, value: value, beside: beside, ratio: "-", target: "-", verdict: Shown})
}

// WriteScale writes the report of [Scale] as Markdown.
func (r *Report) WriteScale(w io.Writer) error {
	var b strings.Builder
	m := r.machine
	fmt.Fprintf(&b, "# bbmd at size\n\n%s · PostgreSQL %s · %d cores · load %s before, %s after · took %s\n",
		m.began.UTC().Format("2006-01-02 15:04 MST"), m.server, m.cores, m.loadBefore, m.loadAfter, m.took.Round(time.Second))
	for _, section := range r.sections {
		r.writeLines(&b, section)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
