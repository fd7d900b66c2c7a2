package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/dial"
	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/rehearsal"
	"github.com/bbmd-dev/bbmd/internal/throttle"
	"github.com/bbmd-dev/bbmd/registry"
)

type (
	// Request is a migration as one enqueues it.
	Request = control.Request
	// DryRunReport is all that a dry run has found.
	DryRunReport = rehearsal.Report
)

// ErrWouldFail is wrapped by the error of [DryRun] when the migration cannot
// even begin: its table, its key or its arguments are wrong. The text says which, and the way out.
var ErrWouldFail = errors.New("the migration would fail")

// DryRunOptions say what [DryRun] tries.
type DryRunOptions struct {
	// Name is that of an enqueued migration, whatever its status. Empty: Request.
	Name string
	// Request is a migration that is not enqueued.
	Request Request
	// Batches is how many are tried. 0: none, only the plan and the table are looked at.
	Batches int
	// BatchSize is how many keys each has. 0: the first half has as many as the
	// migration says, the rest as many as take its target duration.
	BatchSize int32
	// Logger gets what a Work's panic has left. Nil: nobody does.
	Logger *slog.Logger
	// Works may be tried. Nil: [registry.Default].
	Works *registry.Registry
}

// DryRun says what a migration would do, before it does: the plan of its
// statement under the settings of a worker's session, what its table has that makes
// it dear, and the cost of some batches that it runs and rolls back. It works
// beside whoever runs the migration. What stays is WAL and dead row versions, and
// what a Work does outside of the database.
//
// What is wrong with the migration is in the report, and where it cannot begin an error that wraps
// [ErrWouldFail], [ErrNoMigration] or [registry.ErrUnknownWork].
func DryRun(ctx context.Context, cfg Config, database string, opts DryRunOptions) (report *DryRunReport, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	target, ok := cfg.Databases[database]
	if !ok {
		return nil, fmt.Errorf("no database %q in the configuration: it has %s", database, strings.Join(cfg.Names(), ", "))
	}
	dialer := dial.New(target)
	pool, err := dialer.Pool(ctx, "bbmd/"+database+"/dry-run", controlConnections)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	if err := control.Check(ctx, pool, cfg.ControlSchema); err != nil {
		return nil, err
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Works == nil {
		opts.Works = registry.Default()
	}
	all := newWorks(cfg.Plugins, opts.Works, opts.Logger, "", nil, nil)
	defer func() { err = errors.Join(err, all.close(context.WithoutCancel(ctx))) }()
	all.load(ctx, opts.Logger)
	return dryRun(ctx, pool, executor.Options{
		Database: database, Pool: pool, Connect: dialer.Connect, Store: control.NewStore(cfg.ControlSchema),
		Registry: all, Logger: opts.Logger, Settings: settingsOf(cfg),
	}, opts)
}

func dryRun(ctx context.Context, pool *pgxpool.Pool, with executor.Options, opts DryRunOptions) (*DryRunReport, error) {
	c := candidateOf(&opts.Request)
	if opts.Name != "" {
		var err error
		if c, err = with.Store.ScanOne(ctx, pool, opts.Name); err != nil {
			return nil, err
		}
	}
	limits := throttle.Default()
	if with.Settings.Throttle != nil {
		limits = *with.Settings.Throttle
	}
	if c.Knobs.Throttle != nil {
		var err error
		if limits, err = limits.With([]byte(*c.Knobs.Throttle)); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrWouldFail, err)
		}
	}
	stage, err := executor.Rehearse(ctx, with, c)
	switch {
	case errors.Is(err, registry.ErrUnknownWork):
		return nil, err
	case executor.Hopeless(err):
		return nil, fmt.Errorf("%w: %w", ErrWouldFail, err)
	case err != nil:
		return nil, err
	}
	defer stage.Close(ctx)
	workers := min(with.Settings.Workers, int(c.Parallelism))
	return rehearsal.Run(ctx, stage, c, rehearsal.Options{
		Batches: opts.Batches, Size: opts.BatchSize, Workers: workers, Duty: leastDuty(limits, workers),
	})
}

// leastDuty is the share of the time that each of the workers has on a server that is well, but that
// others use.
func leastDuty(limits throttle.Config, workers int) float64 {
	duty := float64(limits.Duty)
	if !limits.Enabled {
		return 1
	}
	if traffic := limits.Traffic; traffic.Mode != throttle.Off && traffic.Duty > 0 {
		duty = min(duty, float64(traffic.Duty)/float64(max(workers, 1)))
	}
	return duty
}

// candidateOf returns what would become of a request, with the defaults that the
// control schema gives it.
func candidateOf(r *Request) control.Candidate {
	or := func(given *int32, otherwise int32) int32 {
		if given == nil {
			return otherwise
		}
		return *given
	}
	c := control.Candidate{
		Work: r.Work, Table: r.Table, Arguments: r.Arguments, Strategy: r.Strategy, MinValue: r.Min, MaxValue: r.Max,
		Parallelism: or(r.Parallelism, 1), MaxAttempts: r.MaxAttempts,
	}
	if c.Arguments == nil {
		c.Arguments = []byte("{}")
	}
	if r.Columns != "" {
		c.Columns = &r.Columns
	}
	least := or(r.MinBatchSize, min(10, or(r.MaxBatchSize, 10)))
	c.Knobs = control.Knobs{
		BatchSize: or(r.BatchSize, 1000), MinBatchSize: least, MaxBatchSize: or(r.MaxBatchSize, max(100_000, least)),
		Target: r.TargetDuration, Pause: r.Pause,
	}
	return c
}
