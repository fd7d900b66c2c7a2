package executor

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
)

const (
	// samplePages is how many pages of a table are read for a sample, in the first
	// try, and in the second where few of these rows lie in the range.
	samplePages     = 400
	moreSamplePages = 4000
	enoughSampled   = 30 // rows in the range
	landmarks       = 100
	// sampleTimeout bounds a sample. Without one the total is a guess, and nothing else is lost.
	sampleTimeout = "3s"
)

// sampled is what a sample says about the rows of a range.
type sampled struct {
	rows  int64    // in the range, estimated; [unknownRows]: too few were seen to say
	marks []string // keys in their order, each about as many rows behind the one before
}

// sample reads some pages of the table, wherever they are, for what the
// planner cannot know. It costs the same however large the table is.
func (t target) sample(ctx context.Context, db control.TxDB, first, last string) (s sampled, err error) {
	s.rows = unknownRows
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = '"+sampleTimeout+"'"); err != nil {
			return err
		}
		var pages float64
		err := tx.QueryRow(ctx, `SELECT coalesce(sum(pg_catalog.pg_relation_size(oid)), 0)::float8 / current_setting('block_size')::float8 FROM pg_catalog.pg_class
			WHERE oid IN (SELECT $1::oid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1::oid::regclass) WHERE isleaf)`, t.oid).Scan(&pages)
		if err != nil {
			return err
		}
		for _, wanted := range []float64{samplePages, moreSamplePages} {
			percent := min(100*wanted/max(pages, 1), 100)
			var seen float64
			if err := tx.QueryRow(ctx, t.sampleSQL(), first, last, percent, landmarks).Scan(&s.rows, &seen, &s.marks); err != nil {
				return err
			}
			if percent >= 100 {
				return nil
			}
			if s.rows >= enoughSampled {
				// As chance has it, more pages were seen than were wanted; fewer may also mean that some are empty.
				s.rows = int64(float64(s.rows) * pages / max(wanted, seen))
				return nil
			}
		}
		s = sampled{rows: unknownRows}
		return nil
	})
	if err != nil {
		return sampled{rows: unknownRows}, fmt.Errorf("take a sample of %s: %w", t.table, err)
	}
	return s, nil
}

// sampleSQL counts the rows of a sample between two keys and the pages that they are on, and
// picks some of these rows in their order. They are tens of thousands: the pages are told apart by a hash, since to sort them takes as
// long as all the rest, and keys are rendered that are picked.
func (t target) sampleSQL() string {
	return fmt.Sprintf(`
WITH x AS MATERIALIZED (
  SELECT %[2]s, x.tableoid AS "bbm table", split_part(x.ctid::text, ',', 1) AS "bbm page"
  FROM %[3]s x TABLESAMPLE SYSTEM ($3::float4) REPEATABLE (0) WHERE %[4]s >= %[5]s AND %[4]s <= %[6]s
), numbered AS (
  SELECT %[2]s, row_number() OVER (ORDER BY %[2]s) AS "bbm n", count(*) OVER () AS "bbm total" FROM x
)
SELECT coalesce(max("bbm total"), 0), (SELECT count(*) FROM (SELECT DISTINCT "bbm table", "bbm page" FROM x) p)::float8,
  array_agg(%[1]s ORDER BY "bbm n") FILTER (WHERE "bbm n" %% greatest("bbm total" / $4::int, 1) = 0)
FROM numbered x`,
		t.rendered(), t.orderBy(), t.table, t.columns(), t.value("$1::text"), t.value("$2::text"))
}

// reached renders the condition that the key $2 is at a landmark l or behind it. The
// values get the collation of the columns, from rows that are never looked up.
func (t target) reached() string {
	collated := func(rendered string) string {
		all := make([]string, len(t.key))
		for i, c := range t.key {
			value := rendered
			if len(t.key) > 1 {
				value = fmt.Sprintf("(%s::jsonb->>%d)", rendered, i)
			}
			all[i] = fmt.Sprintf("coalesce(%s::%s, (SELECT %s FROM %s x LIMIT 1))", value, c.Type, t.column(i), t.table)
		}
		return "(" + strings.Join(all, ", ") + ")"
	}
	return collated("l") + " <= " + collated("$2::text")
}
