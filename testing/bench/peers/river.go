package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// patience is how long a job or a run may take before the measurement fails.
const patience = time.Minute

// job is one that does nothing.
type job struct{}

// Kind implements [river.JobArgs].
func (job) Kind() string { return "bench" }

// starts tells when a job starts.
type starts struct {
	river.WorkerDefaults[job]

	at chan time.Time
}

// Work implements [river.Worker].
func (s *starts) Work(context.Context, *river.Job[job]) error {
	s.at <- time.Now()
	return nil
}

// riverPeer is a client that works its own jobs.
type riverPeer struct {
	pool     *pgxpool.Pool
	client   *river.Client[pgx.Tx]
	started  chan time.Time
	cooldown time.Duration
}

const riverWorkers = 100 // as in River's README

func openRiver(ctx context.Context, arguments []string) (_ peer, err error) {
	flags := flag.NewFlagSet("river", flag.ContinueOnError)
	cooldown := flags.Duration("fetch-cooldown", river.FetchCooldownDefault, "FetchCooldown")
	connections := flags.Int("connections", 0, "most connections in the pool; 0: pgxpool's default")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(flags.Arg(0))
	if err != nil {
		return nil, err
	}
	if *connections > 0 {
		config.MaxConns = int32(*connections) //nolint:gosec // a few
	}
	p := &riverPeer{started: make(chan time.Time, 1), cooldown: *cooldown}
	if p.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.pool.Close()
		}
	}()
	migrator, err := rivermigrate.New(riverpgxv5.New(p.pool), nil)
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &starts{at: p.started})
	p.client, err = river.NewClient(riverpgxv5.New(p.pool), &river.Config{
		FetchCooldown: *cooldown,
		Logger:        slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Queues:        map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: riverWorkers}},
		Workers:       workers,
	})
	if err != nil {
		return nil, err
	}
	return p, p.client.Start(ctx)
}

func (p *riverPeer) describe() answer {
	return answer{
		Name: "River " + version("github.com/riverqueue/river"),
		Settings: fmt.Sprintf("one client, one queue, MaxWorkers %d, FetchCooldown %s, FetchPollInterval %s, a pool of up to %d connections",
			riverWorkers, p.cooldown, river.FetchPollIntervalDefault, p.pool.Config().MaxConns),
	}
}

// do inserts a job, and takes the time from the commit until it starts.
func (p *riverPeer) do(ctx context.Context, q request) (answer, error) {
	if q.Do != "insert" {
		return answer{}, fmt.Errorf("river cannot %q", q.Do)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tx, err := p.pool.Begin(ctx)
	if err != nil {
		return answer{}, err
	}
	if _, err := p.client.InsertTx(ctx, tx, job{}, nil); err != nil {
		return answer{}, errors.Join(err, tx.Rollback(ctx))
	}
	began := time.Now()
	if err := tx.Commit(ctx); err != nil {
		return answer{}, err
	}
	select {
	case at := <-p.started:
		return answer{Took: at.Sub(began)}, nil
	case <-ctx.Done():
		return answer{}, fmt.Errorf("wait for the job to start: %w", context.Cause(ctx))
	}
}

func (p *riverPeer) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	err := p.client.Stop(ctx)
	p.pool.Close()
	return err
}
