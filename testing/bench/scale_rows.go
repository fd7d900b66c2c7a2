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
	var base found
	for i, rows := range sizes {
		if err := d.fill(ctx, bigints, rows); err != nil {
			return err
		}
		f, err := d.lookUp(ctx, rows)
		if err != nil {
			return err
		}
		what := fmt.Sprintf("looking up where a batch of %d of %d rows ends", lookupSize, rows)
		if i < 2 { // the first table has one batch
			base = f
			r.shown(SectionRows, what, f.String(), "-")
			continue
		}
		// The way from the root to a key is what any look-up has to go, and a step longer for each level of the tree.
		r.flat(SectionRows, what+": buffers, without the way to the first of its keys", f.String(), fmt.Sprintf("%s, of %d rows", base, sizes[1]), f.beyond()/base.beyond(), 0)
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

// found is what it took to look up where batches end.
type found struct {
	took           []float64 // microseconds
	buffers, depth float64   // of a look-up, and of one that finds a single key
}

// beyond are the buffers that the keys of the batch are on, beside those on the way to the first.
func (f found) beyond() float64 { return f.buffers - f.depth + 1 }

func (f found) String() string {
	return fmt.Sprintf("%s, %.1f buffers, a single key %.1f", spread(f.took), f.buffers, f.depth)
}

// lookUp looks up where batches end anywhere in the table.
func (d *database) lookUp(ctx context.Context, rows int) (f found, err error) {
	conn, err := d.connect(ctx, "bench look-ups")
	if err != nil {
		return f, err
	}
	defer closeConn(ctx, conn)
	if _, err := conn.Exec(ctx, "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off"); err != nil {
		return f, fmt.Errorf("look up: %w", err)
	}
	batch, single := explain.On(conn), explain.On(conn)
	for i := range lookups {
		at, last := strconv.Itoa(rand.IntN(max(rows-lookupSize, 1))), strconv.Itoa(rows) //nolint:gosec // not a secret
		var end string
		began := time.Now()
		if err := conn.QueryRow(ctx, lookUpSQL(), at, last).Scan(&end); err != nil {
			return f, fmt.Errorf("look up: %w", err)
		}
		f.took = append(f.took, float64(time.Since(began).Nanoseconds())/1000)
		if i%10 > 0 {
			continue
		}
		err := errors.Join(batch.QueryRow(ctx, lookUpSQL(), at, last).Scan(&end),
			single.QueryRow(ctx, "SELECT x.id::text FROM bench_rows x WHERE x.id > $1::text::bigint ORDER BY x.id LIMIT 1", at).Scan(&end))
		if err != nil {
			return f, fmt.Errorf("look up: %w", err)
		}
	}
	for counted, to := range map[*explain.Conn]*float64{batch: &f.buffers, single: &f.depth} {
		cost := counted.Take()
		*to = float64(cost.Buffers) / float64(cost.Statements)
	}
	return f, nil
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

// tenths takes the CPU time of a migration's sessions for each tenth of its rows.
type tenths struct {
	*watcher

	rows, done int64
	cpu        []time.Duration // up to the end of each
}

// finished is told of each batch, with the watcher's lock held.
func (t *tenths) finished(rows int64) {
	t.done += rows
	for int64(len(t.cpu)+1)*t.rows <= 10*t.done {
		var all time.Duration
		for _, pid := range t.sessions {
			all += running(int(pid))
		}
		t.cpu = append(t.cpu, all)
	}
}

// perRow returns the nanoseconds that a row of each tenth took.
func (t *tenths) perRow() []float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	each := make([]float64, len(t.cpu))
	var before time.Duration
	for i, at := range t.cpu {
		each[i], before = float64(10*(at-before))/float64(t.rows), at
	}
	return each
}

func (t *tenths) follow(w *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t.watcher, w.batch = w, t.finished
}

// backfill runs one migration over the table as it would run for anybody, sizes of batches included.
func (r *Report) backfill(ctx context.Context, d *database, rows int, o Options) error {
	rig, err := newRig(ctx, d, executor.DefaultSettings(), o.Logger)
	if err != nil {
		return err
	}
	defer rig.close()
	t := &tenths{rows: int64(rows)}
	t.follow(rig.watcher)
	if _, err := d.admin.Exec(ctx, "SELECT bbm.enqueue($1, 'bench_rows', name => 'all')", workAny); err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	if _, _, err := rig.followed(ctx, "all"); err != nil {
		return err
	}
	if err := d.checkOnce(ctx, bigints, strconv.Itoa(rows)); err != nil {
		return err
	}
	var jobs int64
	var seconds float64
	if err := d.admin.QueryRow(ctx, "SELECT batches_done, extract(epoch FROM finished_at - started_at)::float8 FROM bbm.progress WHERE name = 'all'").Scan(&jobs, &seconds); err != nil {
		return fmt.Errorf("look up the migration: %w", err)
	}
	perRow := t.perRow()
	if len(perRow) != 10 {
		return fmt.Errorf("the migration has %d tenths", len(perRow))
	}
	first, last := perRow[0], perRow[9]
	r.flat(SectionRows, fmt.Sprintf("CPU of the server for a row, the last tenth of %d rows beside the first (%d batches, every row changed exactly once)", rows, jobs),
		fmt.Sprintf("%.0f ns", last), fmt.Sprintf("%.0f ns", first), last/first, 0)
	r.shown(SectionRows, "all tenths, ns; what it took on the clock", fmt.Sprintf("%.0f", perRow), fmt.Sprintf("%.1f s, %.0fk rows/s", seconds, float64(rows)/seconds/1000))
	return nil
}
