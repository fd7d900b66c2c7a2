package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// waiting is why a migration cannot go on yet, and when to look again.
type waiting struct {
	reason string
	again  time.Duration // 0: an event will tell
}

func (w *waiting) Error() string { return w.reason }

// barriers remember, for each migration that is about to start, the writers
// whose transactions were open when it was first looked at. A row of theirs
// could be committed behind the cursor and never be processed.
type barriers struct {
	mu  sync.Mutex
	all map[int32]*barrier
}

type barrier struct {
	table   uint32
	writers []string // virtual transactions that have not ended yet
	tries   int
}

// writersSQL lists the transactions that hold a lock with which rows are
// written, on the table or one of its partitions.
const writersSQL = `
SELECT DISTINCT l.virtualtransaction, format('%s, open for %s', coalesce('pid ' || l.pid, 'prepared transaction ' || p.gid, 'a prepared transaction'),
  coalesce(date_trunc('second', clock_timestamp() - coalesce(a.xact_start, p.prepared))::text, 'an unknown time'))
FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
LEFT JOIN pg_catalog.pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid' AND x.virtualtransaction = l.virtualtransaction
LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = x.transactionid
WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND l.relation IN (SELECT $1::oid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1::oid::regclass))
  AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`

// pass lets a migration through when none of the writers first noted is left,
// and returns a [waiting] that names them otherwise.
func (b *barriers) pass(ctx context.Context, db control.DB, migration int32, table uint32) error {
	now, names, err := writers(ctx, db, table)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	noted, ok := b.all[migration]
	if !ok || noted.table != table {
		noted = &barrier{table: table, writers: now}
		b.all[migration] = noted
	}
	noted.writers = slices.DeleteFunc(noted.writers, func(w string) bool { return !slices.Contains(now, w) })
	if len(noted.writers) == 0 {
		delete(b.all, migration)
		return nil
	}
	noted.tries++
	list := make([]string, 0, len(noted.writers))
	for _, w := range noted.writers {
		list = append(list, names[w])
	}
	return &waiting{
		reason: "waits for transactions that were writing to the table when the migration was to start: " + strings.Join(list, "; "),
		again:  min(50*time.Millisecond<<min(noted.tries, 6), 2*time.Second),
	}
}

// holds reports whether a migration waits for writers.
func (b *barriers) holds(migration int32) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all[migration] != nil
}

func writers(ctx context.Context, db control.DB, table uint32) (ids []string, names map[string]string, err error) {
	rows, err := db.Query(ctx, writersSQL, table)
	if err != nil {
		return nil, nil, fmt.Errorf("look for open transactions: %w", err)
	}
	names = make(map[string]string)
	var id, name string
	_, err = pgx.ForEachRow(rows, []any{&id, &name}, func() error {
		ids, names[id] = append(ids, id), name
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("look for open transactions: %w", err)
	}
	return ids, names, nil
}

// bounds computes the first and the last key of the table, or checks those that the row
// gives. Both are nil when there is no row to process.
func (t *target) bounds(ctx context.Context, db control.DB, c *control.Candidate) (first, last *string, err error) {
	if first, err = t.edge(ctx, db, c.MinValue, "min_value", t.orderBy()); err != nil {
		return nil, nil, err
	}
	if last, err = t.edge(ctx, db, c.MaxValue, "max_value", t.descending()); err != nil || first == nil || last == nil {
		return nil, nil, err
	}
	var inOrder bool
	err = db.QueryRow(ctx, fmt.Sprintf("SELECT %s <= %s", t.value("$1::text"), t.value("$2::text")), *first, *last).Scan(&inOrder)
	if err != nil {
		return nil, nil, fmt.Errorf("compare min_value and max_value: %w", err)
	}
	switch {
	case inOrder:
		return first, last, nil
	case c.MinValue != nil && c.MaxValue != nil:
		return nil, nil, refuse(control.CodeKey, "min_value %s is above max_value %s; the range is empty", *first, *last)
	default:
		return nil, nil, nil // the given end lies beyond the table's rows
	}
}

// edge returns the key at one end of the table, or the given one, as given.
func (t *target) edge(ctx context.Context, db control.DB, given *string, name, order string) (*string, error) {
	if given == nil {
		var key string
		err := db.QueryRow(ctx, fmt.Sprintf("SELECT %s FROM %s x ORDER BY %s LIMIT 1", t.rendered(), t.table, order)).Scan(&key)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, nil //nolint:nilnil // an empty table has no edge, and that is no error
		}
		if err != nil {
			return nil, fmt.Errorf("find the first and last key of %s: %w", t.table, err)
		}
		return &key, nil
	}
	if _, err := t.key.Values(*given); err != nil {
		return nil, refuse(control.CodeKey, "%s: %v", name, err)
	}
	if _, err := db.Exec(ctx, "SELECT "+t.value("$1::text"), *given); err != nil {
		var pgErr *pgconn.PgError
		if errors.As(err, &pgErr) && !transient(err) {
			return nil, refuse(control.CodeKey, "%s %q is not a value of the key: %s", name, *given, pgErr.Message)
		}
		return nil, fmt.Errorf("check %s: %w", name, err)
	}
	return given, nil
}
