package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// nulls is the strategy "null": a batch is some rows whose column IS NULL,
// locked, whichever are free. What makes it exactly-once is the predicate
// itself: a row is processed while its column is NULL, under its lock, in the transaction that
// fills it. The jobs are a record of the batches; they have no range.
type nulls struct {
	worker  *worker
	changed int64 // rows that the batches of this session reported
}

// errNoRows ends a batch that found no row to lock.
var errNoRows = errors.New("no row is left to process")

// inspectNull looks up the column of a migration with the strategy "null", and the partial
// index that finds its rows.
func inspectNull(ctx context.Context, db control.DB, table string, columns []string) (target, error) {
	var t target
	var kind string
	var primary []string
	err := db.QueryRow(ctx, tableSQL, table).Scan(&t.oid, &t.table, &kind, &t.tuples, &primary)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return t, refuse(control.CodeTable, "table %s does not exist; create it, or correct table_name (with its schema), then retry", table)
	case err != nil:
		return t, fmt.Errorf("look up table %s: %w", table, err)
	case kind != "r":
		return t, refuse(control.CodeTable, "%s is not a plain table; with the strategy \"null\", enqueue one migration for each partition", t.table)
	case len(columns) != 1:
		return t, refuse(control.CodeKey, "the strategy \"null\" needs one column in column_name, the one that is NULL until its row was processed")
	}
	quoted := pgx.Identifier{columns[0]}.Sanitize()
	var exists bool
	var estimate *int64
	err = db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attname = $2 AND attnum > 0 AND NOT attisdropped),
		(SELECT max(greatest(c.reltuples, 0))::bigint FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
		 WHERE i.indrelid = $1 AND i.indisvalid AND pg_catalog.pg_get_expr(i.indpred, i.indrelid) = '(' || quote_ident($2) || ' IS NULL)')`,
		t.oid, columns[0]).Scan(&exists, &estimate)
	switch {
	case err != nil:
		return t, fmt.Errorf("look up column %s of %s: %w", columns[0], t.table, err)
	case !exists:
		return t, refuse(control.CodeKey, "table %s has no column %q; correct column_name", t.table, columns[0])
	case estimate == nil:
		return t, refuse(control.CodeKey, "table %s has no index that finds the rows left, and every batch would read the table; CREATE INDEX CONCURRENTLY ON %s (%s) WHERE %s IS NULL",
			t.table, t.table, quoted, quoted)
	}
	t.tuples = *estimate
	t.null = quoted
	return t, nil
}

// pick locks the rows of a batch. Rows that others have locked are left for later.
func (n *nulls) pick(ctx context.Context, size int32) (string, error) {
	var rows *string
	err := n.worker.session.conn.QueryRow(ctx, fmt.Sprintf("SELECT array_agg(ctid)::text FROM (SELECT ctid FROM %s WHERE %s IS NULL LIMIT $1 FOR UPDATE SKIP LOCKED) r",
		n.worker.target.table, n.worker.target.null), size).Scan(&rows)
	if err != nil {
		return "", err
	}
	if rows == nil {
		return "", errNoRows
	}
	return *rows, nil
}

// check refuses to go on for ever with a Work that does not fill the column.
func (n *nulls) check(rows int64) error {
	n.changed += rows
	const slack = 1_000_000 // the estimate may be old, and rows arrive
	if n.changed > 2*n.worker.target.tuples+slack {
		return refuse(control.CodeWork, "%d rows were processed, where about %d had no %s: does the Work set it?", n.changed, n.worker.target.tuples, n.worker.target.null)
	}
	return nil
}

// left decides what it means that no row could be locked: that there is none, or that others
// have them locked.
func (n *nulls) left(ctx context.Context) error {
	var some bool
	err := n.worker.session.conn.QueryRow(ctx, fmt.Sprintf("SELECT EXISTS (SELECT FROM %s WHERE %s IS NULL)", n.worker.target.table, n.worker.target.null)).Scan(&some)
	if err != nil {
		return err
	}
	if some {
		return &waiting{reason: "waits for rows that others have locked", again: time.Second}
	}
	return n.worker.opts.Store.EndNull(ctx, n.worker.opts.Pool, n.worker.candidate.ID)
}
