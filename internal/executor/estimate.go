package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// unknownRows says that nobody knows how many rows there are.
const unknownRows = -1

// statisticsSQL tells whether the planner knows how the values of a column are
// spread, in the table or in all of its partitions that have rows, and whether these have hardly grown
// or been deleted since; and the bounds of the histogram of a plain table. The number of rows changed since
// the last ANALYZE would say that too, but counts those of the session that ran it twice.
const statisticsSQL = `
SELECT coalesce(bool_and(s.attname IS NOT NULL AND pg_catalog.pg_stat_get_dead_tuples(c.oid) <= $3 * c.reltuples
    AND pg_catalog.pg_relation_size(c.oid) <= (1 + $3) * c.relpages * current_setting('block_size')::int), false),
  (array_agg(s.histogram_bounds::text) FILTER (WHERE c.oid = $1))[1]
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = $2 AND NOT s.inherited AND c.reltuples > 0
WHERE c.oid IN (SELECT $1::oid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1::oid::regclass) WHERE isleaf)
  AND c.relkind = 'r' AND pg_catalog.pg_relation_size(c.oid) > 0`

const (
	// changedShare is the share of a table that may have been added or deleted since it was
	// analyzed, before a migration begins.
	changedShare = 0.1
	// anyShare is for a migration that has begun, since it writes all rows itself, and
	// where something is better than nothing.
	anyShare = 1e9
)

// staleShare is the share of a range of integers that may lie beyond what the
// statistics have seen. A sample misses less than that at each end.
const staleShare = 0.05

// canEstimate reports whether the planner's statistics are good for an
// estimate of the rows between first and last. A table that was never analyzed has none, one that
// has changed since, by more than that share, has misleading ones.
func (t target) canEstimate(ctx context.Context, db control.DB, first, last string, changed float64) (bool, error) {
	var known bool
	var bounds *string
	if err := db.QueryRow(ctx, statisticsSQL, t.oid, t.key[0].Name, changed).Scan(&known, &bounds); err != nil {
		return false, fmt.Errorf("look up the statistics of %s: %w", t.table, err)
	}
	if !known || bounds == nil || !t.discrete() {
		return known, nil
	}
	var stale bool
	err := db.QueryRow(ctx, `
		SELECT greatest(b[1] - $2::text::numeric, 0) + greatest($3::text::numeric - b[cardinality(b)], 0) > ($3::text::numeric - $2::text::numeric) * $4::float8::numeric
		FROM (SELECT $1::text::numeric[] AS b) h`, *bounds, first, last, staleShare).Scan(&stale)
	if err != nil {
		return false, fmt.Errorf("compare the statistics of %s: %w", t.table, err)
	}
	return !stale, nil
}

// between estimates the rows with keys behind lower up to upper, as the
// planner does: without reading them. It asks for the rows up to each end, which holds also
// for keys of several columns.
func (t target) between(ctx context.Context, db control.DB, lower *string, upper string) (int64, error) {
	rows, err := t.upTo(ctx, db, upper)
	if err != nil {
		return 0, err
	}
	before, err := t.upTo(ctx, db, *lower)
	return max(rows-before, 0), err
}

func (t target) upTo(ctx context.Context, db control.DB, key string) (int64, error) {
	var text []byte
	err := db.QueryRow(ctx, fmt.Sprintf("EXPLAIN (FORMAT JSON) SELECT FROM %s x WHERE %s <= %s", t.table, t.columns(), t.value("$1::text")),
		control.Once, key).Scan(&text)
	if err != nil {
		return 0, fmt.Errorf("estimate the rows of %s: %w", t.table, err)
	}
	var plans []struct {
		Plan struct {
			Rows float64 `json:"Plan Rows"`
		}
	}
	if err := json.Unmarshal(text, &plans); err != nil || len(plans) == 0 {
		return 0, errors.Join(fmt.Errorf("estimate the rows of %s: EXPLAIN returned %q", t.table, text), err)
	}
	return int64(math.Round(plans[0].Plan.Rows)), nil
}

// passed is how far the batches of a migration have come.
type passed struct {
	keys  int64   // of batches that were cut
	after *string // the last key of these; nil: none was cut
}

// enoughShare is the share of a migration from which on its own keys tell how
// many there are, better than the planner: a table grows while it is updated.
const enoughShare = 0.05

// remaining estimates the rows that no batch was cut for yet, [unknownRows] if
// nobody can know: from the planner's statistics, or where there are none, for
// integers, from how dense the keys have been so far.
func (t target) remaining(ctx context.Context, db control.DB, first, last string, p passed) (int64, error) {
	if p.after != nil && *p.after == last {
		return 0, nil
	}
	known, err := t.canEstimate(ctx, db, first, last, anyShare)
	switch {
	case err != nil:
		return 0, err
	case known:
		return t.planned(ctx, db, first, last, p)
	case p.after == nil || p.keys <= 0 || !t.discrete():
		return unknownRows, nil
	}
	share, err := t.interpolated(ctx, db, first, last, *p.after)
	if err != nil {
		return 0, err
	}
	return extrapolated(p.keys, share), nil
}

// extrapolated is what is left where keys are that share of all.
func extrapolated(keys int64, share float64) int64 {
	return bounded(float64(keys) * (1 - share) / max(share, math.SmallestNonzeroFloat32))
}

func bounded(rows float64) int64 { return int64(min(max(rows, 0), math.MaxInt64/4)) }

// planned is remaining for a table that the planner has statistics of.
func (t target) planned(ctx context.Context, db control.DB, first, last string, p passed) (int64, error) {
	all, err := t.between(ctx, db, &first, last)
	if err != nil || p.after == nil {
		return all + 1, err // the first is not behind itself
	}
	rest, err := t.between(ctx, db, p.after, last)
	if err != nil {
		return 0, err
	}
	if share := 1 - float64(rest)/float64(max(all, 1)); share > enoughShare && p.keys > 0 {
		return extrapolated(p.keys, share), nil
	}
	return rest, nil
}
