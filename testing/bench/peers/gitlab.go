package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
)

// gitLab is a worker that listens while a request is answered, and at no other time.
type gitLab struct {
	db       *sql.DB
	interval time.Duration
	skip     bool
}

func openGitLab(ctx context.Context, arguments []string) (peer, error) {
	flags := flag.NewFlagSet("gitlab", flag.ContinueOnError)
	g := new(gitLab)
	flags.DurationVar(&g.interval, "interval", defaultInterval, "jobinterval")
	flags.BoolVar(&g.skip, "skip", false, "add sleeps to the time instead of sleeping them")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	var err error
	if g.db, err = sql.Open("pgx", flags.Arg(0)); err != nil {
		return nil, err
	}
	const kept = 5 // as in GitLab's Helm chart; the registry's own default keeps none
	g.db.SetMaxOpenConns(kept)
	g.db.SetMaxIdleConns(kept)
	if _, err := g.db.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(fmt.Errorf("make the tables: %w", err), g.db.Close())
	}
	return g, nil
}

func (g *gitLab) describe() answer {
	slept := "as they come"
	if g.skip {
		slept = "counted instead of slept"
	}
	return answer{
		Name: "GitLab's algorithm",
		Settings: fmt.Sprintf("own code after the container registry's asynchronous worker, state of December 2025; jobinterval %s, sleeps %s; prepared statements, up to 5 connections kept",
			g.interval, slept),
	}
}

// do listens until a migration that is inserted at a random moment is finished ("insert", "backfill"), or
// for as long as it is to be at rest ("rest").
func (g *gitLab) do(ctx context.Context, q request) (answer, error) {
	w := &worker{db: g.db, interval: g.interval, clock: wall{}}
	if g.skip {
		w.clock = new(skipping)
	}
	listening, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	inserted := make(chan time.Time, 1)
	switch q.Do {
	case "rest":
		until := w.clock.now().Add(q.Rest)
		if err := w.listen(listening, func() bool { return !w.clock.now().Before(until) }); err != nil {
			return answer{}, err
		}
		return answer{Took: q.Rest, Runs: w.runs}, nil
	case "insert":
		w.clock.after(q.Rest+random(q.Within), func() {
			at, err := g.insert(listening, w.clock, q)
			if err != nil {
				cancel(err)
			}
			inserted <- at
		})
	case "backfill":
		at, err := g.insert(ctx, w.clock, q)
		if err != nil {
			return answer{}, err
		}
		inserted <- at
	default:
		return answer{}, fmt.Errorf("gitlab cannot %q", q.Do)
	}
	if err := w.listen(listening, func() bool { return !w.ended.IsZero() }); err != nil {
		return answer{}, errors.Join(context.Cause(listening), err)
	}
	a := answer{Runs: w.runs, Jobs: w.jobs}
	if q.Do == "insert" {
		a.Took = w.started.Sub(<-inserted)
	} else {
		a.Took = w.ended.Sub(<-inserted)
	}
	return a, nil
}

// insert adds an active migration, and returns when its commit was sent.
func (g *gitLab) insert(ctx context.Context, c clock, q request) (time.Time, error) {
	tx, err := g.db.BeginTx(ctx, nil)
	if err != nil {
		return time.Time{}, fmt.Errorf("insert a migration: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	_, err = tx.ExecContext(ctx, `INSERT INTO batched_background_migrations (name, min_value, max_value, batch_size, status, job_signature_name, table_name, column_name)
		VALUES (gen_random_uuid()::text, $1, $2, $3, $4, $5, $6, 'id')`, q.First, q.Last, q.Size, active, workName, q.Table)
	if err != nil {
		return time.Time{}, fmt.Errorf("insert a migration: %w", err)
	}
	at := c.now()
	if err := tx.Commit(); err != nil {
		return time.Time{}, fmt.Errorf("insert a migration: %w", err)
	}
	return at, nil
}

// random returns a moment within d.
func random(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(rand.Int64N(int64(d))) //nolint:gosec // not a secret
}

func (g *gitLab) close(context.Context) error { return g.db.Close() }
