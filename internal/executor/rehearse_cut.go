package executor

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// Draft is a batch that was cut for a trial.
type Draft struct {
	Job    control.Job
	Keys   int64         // in its range
	Lookup time.Duration // what it took to find its ends
}

// Cut cuts a batch of size keys behind the key after, nil for what comes next, as a
// claim does. It returns nil where no key is left there.
func (r *Rehearsal) Cut(ctx context.Context, after *string, size int32) (*Draft, error) {
	w := r.worker
	if w.target.null != "" {
		return &Draft{Job: control.Job{BatchSize: size}, Keys: int64(size)}, nil
	}
	if w.candidate.MaxValue == nil {
		return nil, nil //nolint:nilnil // an empty table has no batch, and that is no error
	}
	d := &Draft{Job: control.Job{After: after, BatchSize: size}}
	if after == nil {
		if r.after != nil {
			return r.Cut(ctx, r.after, size)
		}
		d.Job.First = w.candidate.MinValue
	}
	err := pgx.BeginFunc(ctx, w.session.conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT set_config('plan_cache_mode', 'force_generic_plan', true),
			set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)`, control.Once); err != nil {
			return err
		}
		began := time.Now()
		if err := r.ends(ctx, tx, &d.Job); err != nil {
			return err
		}
		d.Lookup = time.Since(began)
		return r.count(ctx, tx, d)
	})
	if err != nil {
		return nil, fmt.Errorf("look up the end of a batch: %w", err)
	}
	if d.Keys == 0 {
		return nil, nil //nolint:nilnil // as above
	}
	return d, nil
}

// ends looks up where a batch ends, and where it starts if the Work asks for that.
func (r *Rehearsal) ends(ctx context.Context, db control.DB, j *control.Job) error {
	w := r.worker
	l := w.target.lookups(r.plan.wantStart)
	lookup := l.NextEnd
	if j.After == nil {
		lookup = l.FirstEnd
	}
	lower := j.After
	if lower == nil {
		lower = j.First
	}
	err := db.QueryRow(ctx, "SELECT coalesce(("+lookup+"), w.stop) FROM (SELECT $1::text AS hi, $1::text AS first, $2::text AS stop) w",
		control.Once, *lower, *w.candidate.MaxValue, j.BatchSize).Scan(&j.End)
	if err != nil || j.After == nil {
		return err
	}
	return db.QueryRow(ctx, "SELECT "+l.Start+" FROM (SELECT $1::text AS lo, $2::text AS hi) w", control.Once, *lower, j.End).Scan(&j.First)
}

// count counts the keys of a batch, which may be the last and have fewer than it was to have.
func (r *Rehearsal) count(ctx context.Context, db control.DB, d *Draft) error {
	t := r.worker.target
	comparison, lower := ">", d.Job.After
	if lower == nil {
		comparison, lower = ">=", d.Job.First
	}
	return db.QueryRow(ctx, fmt.Sprintf("SELECT count(*) FROM %s x WHERE %s %s %s AND %s <= %s",
		t.table, t.columns(), comparison, t.value("$1::text"), t.columns(), t.value("$2::text")), control.Once, *lower, d.Job.End).Scan(&d.Keys)
}

// Spread is some keys of a table, in their order.
type Spread struct {
	Keys []string
	Rows int64 // between the ends of what is left, extrapolated from the sample
}

// spreadSQL reads some blocks of the table, and takes the first key of each of
// several groups of as many rows.
const spreadSQL = `
WITH s AS (
  SELECT %[1]s AS k, row_number() OVER (ORDER BY %[2]s) AS n FROM %[3]s x TABLESAMPLE SYSTEM ($1::float8)
  WHERE %[4]s %[5]s %[6]s AND %[4]s <= %[7]s
), tiles AS (SELECT k, n, ntile($4::int) OVER (ORDER BY n) AS tile FROM s)
SELECT (array_agg(k ORDER BY n))[1], (SELECT count(*) FROM s) FROM tiles GROUP BY tile ORDER BY tile`

// blocksPerKey is how many blocks are read for each key that is asked for: enough to know, within some percent,
// how many rows there are.
const blocksPerKey = 40

// Spread returns up to n keys that lie spread over what no batch was cut for,
// from a sample of the table's blocks.
func (r *Rehearsal) Spread(ctx context.Context, n int) (Spread, error) {
	w, t := r.worker, r.worker.target
	if t.null != "" || w.candidate.MaxValue == nil {
		return Spread{}, nil
	}
	var blocks float64
	err := w.session.conn.QueryRow(ctx, `SELECT coalesce(sum(pg_catalog.pg_relation_size(relid)) / current_setting('block_size')::int, 0)::float8
		FROM (SELECT $1::oid::regclass AS relid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1::oid::regclass)) p`, control.Once, t.oid).Scan(&blocks)
	if err != nil {
		return Spread{}, fmt.Errorf("look up the size of %s: %w", t.table, err)
	}
	percent := min(100, 100*float64(n*blocksPerKey)/max(blocks, 1))
	comparison, lower := ">", r.after
	if lower == nil {
		comparison, lower = ">=", w.candidate.MinValue
	}
	rows, err := w.session.conn.Query(ctx, fmt.Sprintf(spreadSQL, t.rendered(), t.orderBy(), t.table, t.columns(), comparison, t.value("$2::text"), t.value("$3::text")),
		control.Once, percent, *lower, *w.candidate.MaxValue, n)
	if err != nil {
		return Spread{}, fmt.Errorf("sample the keys of %s: %w", t.table, err)
	}
	var s Spread
	var key string
	var sampled int64
	_, err = pgx.ForEachRow(rows, []any{&key, &sampled}, func() error {
		s.Keys, s.Rows = append(s.Keys, key), int64(float64(sampled)*100/percent)
		return nil
	})
	if err != nil {
		return Spread{}, fmt.Errorf("sample the keys of %s: %w", t.table, err)
	}
	return s, nil
}
