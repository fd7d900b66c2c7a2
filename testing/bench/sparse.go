package bench

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// sparseTarget is what a row of a sparse table may cost, relative to one of a dense table.
const sparseTarget = 1.5

// density is a table with the same number of rows as the others, its keys further apart.
type density struct {
	name    string
	what    string // for the report
	make    string // %[1]d is the rows; it fills a table that exists
	target  float64
	elapsed []float64 // nanoseconds per row and round
	bare    []float64 // the same, of a client's loop of UPDATEs over the same rows
	batches []batch   // of that loop
}

// densities returns the tables, the first two of which are equals. Keys with gaps are the
// same to bbmd as keys whose rows were deleted and vacuumed; the table of the latter has
// a page for each row, or nearly, which costs any client.
func densities() []*density {
	return []*density{
		{name: "dense", what: "dense keys", make: "SELECT i, rpad(i::text, 36, '.') FROM generate_series(1, %[1]d) i"},
		{name: "dense_again", make: "SELECT i, rpad(i::text, 36, '.') FROM generate_series(1, %[1]d) i"},
		{
			name: "gaps", what: "one key of a thousand", target: sparseTarget,
			make: "SELECT i * 1000::bigint, rpad(i::text, 36, '.') FROM generate_series(1, %[1]d) i",
		},
		{
			name: "clusters", what: "dense keys with ten gaps of ten million", target: sparseTarget,
			make: "SELECT i + 10000000::bigint * (i / (%[1]d / 10)), rpad(i::text, 36, '.') FROM generate_series(1, %[1]d) i",
		},
		{
			name: "deleted", what: "99 of 100 rows deleted and vacuumed, each that is left on a page of its own",
			make: "SELECT i, rpad(i::text, 36, '.') FROM generate_series(1, %[1]d * 100) i; DELETE FROM bench_deleted WHERE id %% 100 > 0",
		},
	}
}

// measureSparse runs migrations over all tables in turns, again and again over the same rows.
func (r *Report) measureSparse(ctx context.Context, server *pgserver.Server, o Options) error {
	n := o.sizes().sparse
	d, err := newDatabase(ctx, server, "sparse")
	if err != nil {
		return err
	}
	defer d.close(ctx)
	all := densities()
	for _, t := range all {
		if err := d.fillDensity(ctx, t, n.slice); err != nil {
			return err
		}
	}
	rig, err := newRig(ctx, d, executor.DefaultSettings(), o.Logger)
	if err != nil {
		return err
	}
	defer rig.close()
	for round := range n.rounds + 1 { // the first one warms up, and finds the pages not written since the checkpoint
		for _, i := range shuffled(len(all)) {
			t := all[i]
			took, err := rig.pass(ctx, t, n.slice)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			bare, err := d.barePass(ctx, t)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			if round > 0 {
				t.elapsed = append(t.elapsed, float64(took.Nanoseconds())/float64(n.slice))
				t.bare = append(t.bare, float64(bare.Nanoseconds())/float64(n.slice))
			}
		}
	}
	for _, t := range all {
		if err := d.checkPasses(ctx, t, n.slice, 2*(n.rounds+1)); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	r.addSparse(all)
	return nil
}

// fillDensity makes a table, half of each page free, so that the rows stay on theirs.
func (d *database) fillDensity(ctx context.Context, t *density, rows int) error {
	table := "bench_" + t.name
	err := d.run(ctx,
		"CREATE TABLE "+table+" (id bigint NOT NULL, a text NOT NULL, b int NOT NULL DEFAULT 0) WITH (fillfactor = 45)",
		fmt.Sprintf("INSERT INTO "+table+" "+t.make, rows),
		"ALTER TABLE "+table+" ADD PRIMARY KEY (id)",
		"VACUUM (ANALYZE) "+table)
	if err != nil {
		return err
	}
	found, err := d.admin.Query(ctx, "SELECT min(id)::text, max(id)::text FROM (SELECT id, (row_number() OVER (ORDER BY id) - 1) / 1000 AS n FROM "+table+") s GROUP BY n ORDER BY n")
	if err != nil {
		return fmt.Errorf("cut the table: %w", err)
	}
	var b batch
	if _, err := pgx.ForEachRow(found, []any{&b.first, &b.last}, func() error { t.batches = append(t.batches, b); return nil }); err != nil {
		return fmt.Errorf("cut the table: %w", err)
	}
	return nil
}

// barePass changes the same rows, batch by batch, as a client does that knows where they end.
func (d *database) barePass(ctx context.Context, t *density) (time.Duration, error) {
	began := time.Now()
	for _, b := range t.batches {
		if _, err := d.admin.Exec(ctx, "UPDATE bench_"+t.name+" SET b = b + 1 WHERE id >= $1::text::bigint AND id <= $2::text::bigint", b.first, b.last); err != nil {
			return 0, fmt.Errorf("bare loop: %w", err)
		}
	}
	return time.Since(began), nil
}

// pass runs one migration over a table, and takes the time from the event to its end.
func (r *rig) pass(ctx context.Context, t *density, rows int) (time.Duration, error) {
	r.count++
	r.forget()
	name := fmt.Sprintf("%s_%d", t.name, r.count)
	if _, err := r.db.admin.Exec(ctx, "SELECT bbm.enqueue($1, $2, name => $3, target_duration => '0')", workAny, "bench_"+t.name, name); err != nil {
		return 0, fmt.Errorf("enqueue %s: %w", name, err)
	}
	woken, end, err := r.followed(ctx, name)
	if err != nil {
		return 0, err
	}
	if err := r.quiet(ctx); err != nil {
		return 0, err
	}
	var passed int
	err = r.db.admin.QueryRow(ctx, "SELECT keys_done FROM bbm.progress WHERE name = $1", name).Scan(&passed)
	if err == nil && passed != rows {
		err = fmt.Errorf("%s passed %d rows, not %d", name, passed, rows)
	}
	return end.Sub(woken), err
}

// checkPasses fails when a row was not changed exactly once by each migration.
func (d *database) checkPasses(ctx context.Context, t *density, rows, passes int) error {
	var found, wrong int
	err := d.admin.QueryRow(ctx, "SELECT count(*), count(*) FILTER (WHERE b <> $1) FROM bench_"+t.name, passes).Scan(&found, &wrong)
	if err != nil {
		return fmt.Errorf("check that every row was changed once by each: %w", err)
	}
	if found != rows || wrong > 0 {
		return fmt.Errorf("check that every row was changed once by each: %d of %d rows were not", wrong, found)
	}
	return nil
}

func (r *Report) addSparse(all []*density) {
	base, again := all[0].elapsed, all[1].elapsed
	control := median(quotients(base, again))
	for _, t := range all[2:] {
		ratios := make([]float64, len(base))
		for i, own := range t.elapsed {
			ratios[i] = own / ((base[i] + again[i]) / 2)
		}
		l := line{
			section: SectionSparse, what: "cost of a row, " + t.what, value: nanoseconds(t.elapsed), beside: nanoseconds(append(base, again...)),
			ratio: fmt.Sprintf("%.2f (A/A %.2f)", median(ratios), control), target: "-", verdict: Shown,
		}
		if t.target > 0 {
			l.target = fmt.Sprintf("≤ %.1f", t.target)
			l.verdict = judgeAtMost(median(ratios), t.target, max(math.Abs(control-1), uncertainty(ratios)))
		}
		r.lines = append(r.lines, l)
	}
	for _, t := range []*density{all[0], all[len(all)-1]} {
		r.lines = append(r.lines, line{
			section: SectionSparse, what: "cost of a row, " + t.what + ", beside a bare loop over the same rows", value: nanoseconds(t.elapsed), beside: nanoseconds(t.bare),
			ratio: fmt.Sprintf("%.2f", median(quotients(t.elapsed, t.bare))), target: "-", verdict: Shown,
		})
	}
}

func nanoseconds(values []float64) string { return fmt.Sprintf("%.0f ns", median(values)) }
