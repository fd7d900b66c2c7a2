package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
)

const (
	defaultInterval = time.Minute
	longestRun      = 3 * time.Minute
	longestInterval = 30 * time.Minute
	jitter          = 0.33
	workName        = "bench"
)

// worker is the polling worker. One goroutine uses it at a time.
type worker struct {
	db       *sql.DB
	interval time.Duration
	clock    clock

	runs, jobs int
	started    time.Time // when the Work was called first; zero: not yet
	ended      time.Time // when a migration's end was committed; zero: not yet
	ending     bool      // the run in progress finishes a migration
}

// listen is the worker's loop, until over says after a run or a sleep that it is enough.
func (w *worker) listen(ctx context.Context, over func() bool) error {
	wait := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(w.interval), backoff.WithMaxInterval(longestInterval),
		backoff.WithRandomizationFactor(jitter), backoff.WithMaxElapsedTime(0))
	for {
		busy, err := w.run(ctx)
		if err != nil {
			return err
		}
		if busy {
			wait.Reset()
		}
		if over() {
			return nil
		}
		if err := w.clock.sleep(ctx, wait.NextBackOff()); err != nil {
			return err
		}
		if over() {
			return nil
		}
	}
}

// run looks for one job and does it. Busy: the next look is due after the interval, and not later.
func (w *worker) run(ctx context.Context) (busy bool, err error) {
	w.runs++
	ctx, cancel := context.WithTimeout(ctx, longestRun)
	defer cancel()
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return false, fmt.Errorf("begin a run: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	var held bool
	if err := tx.QueryRowContext(ctx, lockSQL).Scan(&held); err != nil {
		return false, fmt.Errorf("lock: %w", err)
	}
	if !held {
		return true, nil
	}
	w.ending = false
	found, err := w.findJob(ctx, tx)
	if err != nil {
		return false, err
	}
	if found != nil {
		if err := w.execute(ctx, tx, found); err != nil {
			return false, err
		}
	}
	if err := tx.Commit(); err != nil {
		return false, fmt.Errorf("commit a run: %w", err)
	}
	if w.ending {
		w.ended = w.clock.now()
	}
	return found != nil, nil
}

// execute calls the Work, on a connection of its own, and writes what became of it.
func (w *worker) execute(ctx context.Context, tx *sql.Tx, b *batch) error {
	var attempts int
	if err := tx.QueryRowContext(ctx, attemptSQL, b.id).Scan(&attempts); err != nil {
		return fmt.Errorf("count an attempt: %w", err)
	}
	if w.started.IsZero() {
		w.started = w.clock.now()
	}
	w.jobs++
	if err := work(ctx, w.db, b); err != nil {
		failure := setStatus(ctx, tx, jobStatusSQL, b.id, failed, sql.NullInt64{Int64: unknownReason, Valid: true})
		return errors.Join(err, failure)
	}
	return setStatus(ctx, tx, jobStatusSQL, b.id, finished, sql.NullInt64{})
}

// work is the Work: the statement that everybody runs here.
func work(ctx context.Context, db *sql.DB, b *batch) error {
	query := fmt.Sprintf("UPDATE %s SET b = b + 1 WHERE %[2]s >= $1 AND %[2]s <= $2", b.of.table, b.of.column) //nolint:gosec // both were looked up
	if _, err := db.ExecContext(ctx, query, b.first, b.last); err != nil {
		return fmt.Errorf("work: %w", err)
	}
	return nil
}
