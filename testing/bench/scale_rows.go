package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/explain"
)

const (
	lookupSize = 1000          // rows in a batch whose end is looked up
	billion    = 1_000_000_000 // rows that the planner is told of
	lookups    = 300
)

// measureRows looks batches up in tables of growing size, asks the planner about a billion rows,
// and backfills the largest table to its end.
func (r *Report) measureRows(ctx context.Context, server *pgserver.Server, o Options) error {
	d, err := newDatabase(ctx, server, "rows")
	if err != nil {
		return err
	}
	defer d.close(ctx)
	sizes := o.scale().rows
	var base []float64
	var few float64
	for i, rows := range sizes {
		if err := d.fill(ctx, bigints, rows); err != nil {
			return err
		}
		took, buffers, err := d.lookUp(ctx, rows)
		if err != nil {
			return err
		}
		what := fmt.Sprintf("looking up where a batch of %d of %d rows ends", lookupSize, rows)
		value := fmt.Sprintf("%s, %.1f buffers", spread(took), buffers)
		if i < 2 { // the first table has one batch
			base, few = took, buffers
			r.shown(SectionRows, what, value, "-")
			continue
		}
		beside := fmt.Sprintf("%s, %.1f buffers, of %d rows", spread(base), few, sizes[1])
		r.flat(SectionRows, what+": buffers", value, beside, buffers/few, 0)
	}
	if err := r.planForABillion(ctx, d); err != nil {
		return err
	}
	return r.backfill(ctx, d, sizes[len(sizes)-1], o)
}

// lookUpSQL looks up the last key of the batch behind a key, as a claim does.
func lookUpSQL() string {
	return "SELECT (" + strings.ReplaceAll(bigintLookups().NextEnd, "$3::int", strconv.Itoa(lookupSize)) + ") FROM (SELECT $1::text AS hi, $2::text AS stop) w"
}

// lookUp returns the microseconds that looking up takes anywhere in the table, and the buffers that it touches.
func (d *database) lookUp(ctx context.Context, rows int) (took []float64, buffers float64, err error) {
	conn, err := d.connect(ctx, "bench look-ups")
	if err != nil {
		return nil, 0, err
	}
	defer closeConn(ctx, conn)
	if _, err := conn.Exec(ctx, "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off"); err != nil {
		return nil, 0, fmt.Errorf("look up: %w", err)
	}
	counted := explain.On(conn)
	for i := range lookups {
		at, last := strconv.Itoa(rand.IntN(max(rows-lookupSize, 1))), strconv.Itoa(rows) //nolint:gosec // not a secret
		var end string
		began := time.Now()
		if err := conn.QueryRow(ctx, lookUpSQL(), at, last).Scan(&end); err != nil {
			return nil, 0, fmt.Errorf("look up: %w", err)
		}
		took = append(took, float64(time.Since(began).Nanoseconds())/1000)
		if i%10 > 0 {
			continue
		}
		if err := counted.QueryRow(ctx, lookUpSQL(), at, last).Scan(&end); err != nil {
			return nil, 0, fmt.Errorf("look up: %w", err)
		}
	}
	cost := counted.Take()
	return took, float64(cost.Buffers) / float64(cost.Statements), nil
}

// errPlanned rolls back what the planner was told.
var errPlanned = errors.New("planned")

// planForABillion tells the planner that the table has a billion rows, and looks at what it would do.
func (r *Report) planForABillion(ctx context.Context, d *database) error {
	small, _, err := d.plan(ctx)
	if err != nil {
		return err
	}
	var large float64
	var nodes []string
	err = pgx.BeginFunc(ctx, d.admin, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE pg_class SET reltuples = $1::float8 WHERE oid IN ('bench_rows'::regclass, 'bench_rows_pkey'::regclass)", billion)
		if err != nil {
			return fmt.Errorf("tell the planner of a billion rows: %w", err)
		}
		if large, nodes, err = d.plan(ctx); err != nil {
			return err
		}
		return errPlanned
	})
	if !errors.Is(err, errPlanned) {
		return err
	}
	if strings.Join(nodes, " ") != "Index Only Scan" {
		return fmt.Errorf("plan for a billion rows: the end of a batch is looked up by %v", nodes)
	}
	r.flat(SectionRows, "the planner's cost of that look-up, told that there are a billion rows: an index-only scan", fmt.Sprintf("%.1f", large), fmt.Sprintf("%.1f", small), large/small, 0)
	return nil
}

// plan returns the cost of looking up, and by what the table is read.
func (d *database) plan(ctx context.Context) (cost float64, nodes []string, err error) {
	conn := d.admin
	var text []byte
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, "EXPLAIN (FORMAT JSON) "+lookUpSQL(), "1", strconv.Itoa(billion)).Scan(&text)
	})
	if err != nil {
		return 0, nil, fmt.Errorf("explain the look-up: %w", err)
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal(text, &plans); err != nil || len(plans) != 1 {
		return 0, nil, fmt.Errorf("explain the look-up: %s", text)
	}
	return plans[0].Plan.Cost, plans[0].Plan.readers("bench_rows"), nil
}

// node is a part of a plan.
type node struct {
	Type     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Cost     float64 `json:"Total Cost"`
	Plans    []node
}

func (n node) readers(table string) (types []string) {
	if n.Relation == table {
		types = append(types, n.Type)
	}
	for _, below := range n.Plans {
		types = append(types, below.readers(table)...)
	}
	return types
}

// tenthsSQL takes the time of each tenth of the rows, in the order in which they were processed.
const tenthsSQL = `
SELECT tenth, count(*), sum(batch_size), extract(epoch FROM max(finished_at) - lag(max(finished_at), 1, $2) OVER (ORDER BY tenth))::float8
FROM (SELECT batch_size, finished_at, least(10 * (sum(batch_size) OVER (ORDER BY ordinal) - 1) / $3::bigint, 9)::int AS tenth
  FROM bbm.batched_background_migration_jobs WHERE batched_background_migration_id = $1) j
GROUP BY tenth ORDER BY tenth`

// backfill runs one migration over the table as it would run for anybody, sizes of batches included.
func (r *Report) backfill(ctx context.Context, d *database, rows int, o Options) error {
	rig, err := newRig(ctx, d, executor.DefaultSettings(), o.Logger)
	if err != nil {
		return err
	}
	defer rig.close()
	if _, err := d.admin.Exec(ctx, "SELECT bbm.enqueue($1, 'bench_rows', name => 'all')", workAny); err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	if _, _, err := rig.followed(ctx, "all"); err != nil {
		return err
	}
	if err := d.checkOnce(ctx, bigints, strconv.Itoa(rows)); err != nil {
		return err
	}
	var id int32
	var began, ended time.Time
	if err := d.admin.QueryRow(ctx, "SELECT id, started_at, finished_at FROM bbm.progress WHERE name = 'all'").Scan(&id, &began, &ended); err != nil {
		return fmt.Errorf("look up the migration: %w", err)
	}
	found, err := d.admin.Query(ctx, tenthsSQL, id, began, rows)
	if err != nil {
		return fmt.Errorf("look up the jobs: %w", err)
	}
	var perRow []float64
	var jobs, keys, tenth, n int64
	var seconds float64
	if _, err := pgx.ForEachRow(found, []any{&tenth, &n, &keys, &seconds}, func() error {
		perRow, jobs = append(perRow, seconds*1e9/float64(keys)), jobs+n
		return nil
	}); err != nil {
		return fmt.Errorf("look up the jobs: %w", err)
	}
	if len(perRow) != 10 && !o.Tiny {
		return fmt.Errorf("the migration has %d tenths", len(perRow))
	}
	first, last := perRow[0], perRow[len(perRow)-1]
	r.flat(SectionRows, fmt.Sprintf("cost of a row, the last tenth of %d rows beside the first (%d batches, every row changed exactly once)", rows, jobs),
		fmt.Sprintf("%.0f ns", last), fmt.Sprintf("%.0f ns", first), last/first, 0)
	r.shown(SectionRows, "the tenths in between", fmt.Sprintf("%.0f to %.0f ns", quantile(perRow, 0), quantile(perRow, 1)),
		fmt.Sprintf("%s, %.0fk rows/s", ended.Sub(began).Round(100*time.Millisecond), float64(rows)/ended.Sub(began).Seconds()/1000))
	return nil
}
