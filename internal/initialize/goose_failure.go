package initialize

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/history"
)

// strip takes away what goose and database/sql say around the reason.
func strip(step history.Step, err error) error {
	partial, ok := errors.AsType[*goose.PartialError](err)
	if !ok {
		return err
	}
	if strings.HasSuffix(step.File, ".sql") {
		return plain(partial.Err)
	}
	return partial.Err // a migration in Go may have said more than the server
}

// plain is what the server said, if it did.
func plain(err error) error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg
	}
	return err
}

// explain says of a failed step where it failed, and what it left behind.
func (r *gooseRun) explain(ctx context.Context, step history.Step, known []string, err error) error {
	sql, line := r.trace.failure()
	if ctx.Err() != nil {
		err = interrupted(ctx, err)
	}
	if !step.Transactional {
		err = r.leftBehind(ctx, err, known)
	}
	return &StepError{Version: step.Version, Name: step.Name, File: step.File, Line: line, SQL: beginning(sql), Err: err}
}

// leftBehind adds what has to be known of a step outside a transaction that stopped half way.
func (r *gooseRun) leftBehind(ctx context.Context, why error, known []string) error {
	if err := endSessions(ctx, r.to); err != nil {
		return errors.Join(why, err)
	}
	left, err := newInvalid(ctx, r.to, known)
	if err != nil {
		return errors.Join(why, err)
	}
	switch {
	case len(left) > 0:
		return withInvalid(why, left)
	case !r.trace.undone():
		return fmt.Errorf("%w: it runs outside a transaction, and what it did before this stays: take that back, or make its statements such that they can be run again (IF NOT EXISTS)", why)
	case thereAlready(why):
		return fmt.Errorf("%w: it runs outside a transaction, and an earlier attempt may have made it: drop it, or write IF NOT EXISTS", why)
	default:
		return why
	}
}

// thereAlready reports whether the server says of an object that it exists.
func thereAlready(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains([]string{"42P07", "42701", "42710", "42723", "42P06"}, pg.Code)
}

// invalid returns the indexes that are invalid before a step that may leave some.
func (r *gooseRun) invalid(ctx context.Context, step history.Step) ([]string, error) {
	if step.Transactional {
		return nil, nil
	}
	return invalidIndexes(ctx, r.to)
}

// Those of partitioned tables are invalid by intention until each partition has
// its own, and those that somebody builds right now until they are done.
const invalidIndexesSQL = `
SELECT i.indexrelid::regclass::text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
WHERE NOT i.indisvalid AND c.relkind = 'i'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)
ORDER BY 1`

// invalidIndexes returns the indexes of a target that nobody can use, and that nobody is at
// work on. It also looks when ctx has ended.
func invalidIndexes(ctx context.Context, to target) ([]string, error) {
	var names []string
	err := briefly(ctx, to, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, invalidIndexesSQL, control.Once)
		if err != nil {
			return err
		}
		names, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for invalid indexes: %w", err)
	}
	return names, nil
}

// newInvalid returns those that were not known to be invalid before.
func newInvalid(ctx context.Context, to target, known []string) ([]string, error) {
	now, err := invalidIndexes(ctx, to)
	return slices.DeleteFunc(now, func(index string) bool { return slices.Contains(known, index) }), err
}

// withInvalid adds to an error which indexes have become invalid.
func withInvalid(why error, left []string) error {
	if len(left) == 0 {
		return why
	}
	names := strings.Join(left, ", ")
	return fmt.Errorf("%w: it left invalid behind: %s: the next run drops it, or: DROP INDEX CONCURRENTLY %s", why, names, names)
}
