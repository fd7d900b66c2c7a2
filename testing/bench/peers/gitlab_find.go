package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// migration is what the worker reads of one.
type migration struct {
	id                       int64
	name                     string
	first, last              int64
	size                     int
	status                   status
	signature, table, column string
	code, tuples             sql.NullInt64
	strategy                 sql.NullString
}

// batch is what the worker reads of a job, or has just made.
type batch struct {
	id, first, last int64
	status          status
	attempts        int
	code            sql.NullInt64

	of *migration
}

const (
	mostAttempts  = 5
	tooOften      = 4 // code of a migration whose job failed too often
	unknownReason = 0 // code of a job whose Work failed
)

// findJob returns what is to be done next; nil: nothing, or nothing in this run.
func (w *worker) findJob(ctx context.Context, tx *sql.Tx) (*batch, error) {
	m := new(migration)
	err := tx.QueryRowContext(ctx, nextSQL, active, running).Scan(&m.id, &m.name, &m.first, &m.last, &m.size, &m.status, &m.signature, &m.table, &m.column, &m.code, &m.strategy, &m.tuples)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // nothing to do is no error
	}
	if err != nil {
		return nil, fmt.Errorf("find a migration: %w", err)
	}
	if err := validate(ctx, tx, m); err != nil {
		return nil, err
	}
	last, err := scanJob(tx.QueryRowContext(ctx, withEndSQL, m.id, m.last), m)
	if err != nil {
		return nil, err
	}
	var found *batch
	if last == nil {
		found, err = newJob(ctx, tx, m)
	} else {
		found, err = w.again(ctx, tx, m)
	}
	if found != nil && found.attempts >= mostAttempts {
		return nil, setStatus(ctx, tx, migrationStatusSQL, m.id, failed, sql.NullInt64{Int64: tooOften, Valid: true})
	}
	return found, err
}

// again returns a job that failed before; where there is none the migration is finished.
func (w *worker) again(ctx context.Context, tx *sql.Tx, m *migration) (*batch, error) {
	found, err := scanJob(tx.QueryRowContext(ctx, withStatusSQL, m.id, failed), m)
	if err != nil || found != nil {
		return found, err
	}
	w.ending = true
	return nil, setStatus(ctx, tx, migrationStatusSQL, m.id, finished, sql.NullInt64{})
}

// newJob makes the job behind the last one that was made.
func newJob(ctx context.Context, tx *sql.Tx, m *migration) (*batch, error) {
	last, err := scanJob(tx.QueryRowContext(ctx, lastMadeSQL, m.id), m)
	if err != nil {
		return nil, err
	}
	if last == nil {
		if err := estimate(ctx, tx, m); err != nil {
			return nil, err
		}
	}
	if last == nil || m.status == active {
		if err := setStatus(ctx, tx, migrationStatusSQL, m.id, running, sql.NullInt64{}); err != nil {
			return nil, err
		}
	}
	made := &batch{first: m.first, of: m}
	if last != nil {
		if made.first = last.last + 1; made.first > m.last {
			return nil, nil //nolint:nilnil // nothing in this run is no error
		}
	}
	if made.last, err = findEnd(ctx, tx, m, made.first); err != nil {
		return nil, err
	}
	if err := tx.QueryRowContext(ctx, makeJobSQL, m.id, made.first, made.last).Scan(&made.id, &made.status, &made.attempts); err != nil {
		return nil, fmt.Errorf("make a job: %w", err)
	}
	return made, nil
}

// estimate notes how many rows the table has, by its statistics.
func estimate(ctx context.Context, tx *sql.Tx, m *migration) error {
	var rows sql.NullInt64
	schemaName, table, _ := strings.Cut(m.table, ".")
	if err := tx.QueryRowContext(ctx, estimateSQL, schemaName, table).Scan(&rows); err != nil {
		return fmt.Errorf("estimate the rows: %w", err)
	}
	if _, err := tx.ExecContext(ctx, storeEstimateSQL, rows.Int64, m.id); err != nil {
		return fmt.Errorf("store the estimate: %w", err)
	}
	return nil
}

// findEnd returns the last key of the job that begins at first.
func findEnd(ctx context.Context, tx *sql.Tx, m *migration, first int64) (int64, error) {
	if err := validate(ctx, tx, m); err != nil { // once more, as published
		return 0, err
	}
	if first+int64(m.size) >= m.last {
		return m.last, nil
	}
	var end int64
	query := fmt.Sprintf(`SELECT %[1]s FROM %[2]s WHERE %[1]s >= $1 AND %[1]s <= $2 ORDER BY %[1]s LIMIT 1 OFFSET $3 - 1`, m.column, m.table) //nolint:gosec // as published: both were looked up
	err := tx.QueryRowContext(ctx, query, first, m.last, m.size).Scan(&end)
	if errors.Is(err, sql.ErrNoRows) {
		return m.last, nil
	}
	if err != nil {
		return 0, fmt.Errorf("find the end of a job: %w", err)
	}
	return end, nil
}

// validate checks that the migration's table and column are there.
func validate(ctx context.Context, tx *sql.Tx, m *migration) error {
	if m.signature != workName {
		return fmt.Errorf("there is no Work %q", m.signature)
	}
	schemaName, table, _ := strings.Cut(m.table, ".")
	for _, q := range []struct {
		sql  string
		args []any
	}{{tableSQL, []any{schemaName, table}}, {columnSQL, []any{schemaName, table, m.column}}} {
		var there bool
		if err := tx.QueryRowContext(ctx, q.sql, q.args...).Scan(&there); err != nil {
			return fmt.Errorf("look for %s.%s: %w", m.table, m.column, err)
		}
		if !there {
			return fmt.Errorf("there is no %s.%s", m.table, m.column)
		}
	}
	return nil
}

func scanJob(row *sql.Row, m *migration) (*batch, error) {
	b := &batch{of: m}
	err := row.Scan(&b.id, &b.first, &b.last, &b.status, &b.attempts, &b.code)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // no such job is no error
	}
	if err != nil {
		return nil, fmt.Errorf("find a job: %w", err)
	}
	return b, nil
}

// setStatus writes the status of a migration or a job.
func setStatus(ctx context.Context, tx *sql.Tx, query string, id int64, to status, code sql.NullInt64) error {
	var now status
	var why sql.NullInt64
	if err := tx.QueryRowContext(ctx, query, to, code, id).Scan(&now, &why); err != nil {
		return fmt.Errorf("set a status: %w", err)
	}
	return nil
}
