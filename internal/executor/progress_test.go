package executor_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// progressRows is how many rows every migration of the test passes, and progressBatches
// in how many batches, each with a pause after it, so that they are counted and estimated again a few times.
const (
	progressRows    = 7200
	progressBatches = 120
)

// kindOfKey makes a table called as itself, of which a migration passes [progressRows] rows.
type kindOfKey struct {
	make string // %[1]s is the table, %[2]d the rows
	more string // arguments of bbm.enqueue
}

func kindsOfKeys() map[string]kindOfKey {
	const columns = "n int NOT NULL DEFAULT 0"
	return map[string]kindOfKey{
		"dense": {make: "CREATE TABLE %[1]s (id bigint PRIMARY KEY, " + columns + "); INSERT INTO %[1]s SELECT generate_series(1, %[2]d); ANALYZE %[1]s"},
		// Nine of ten keys lie in the first thousandth of the range.
		"sparse":          {make: "CREATE TABLE %[1]s (id bigint PRIMARY KEY, " + columns + "); INSERT INTO %[1]s SELECT CASE WHEN i %% 10 > 0 THEN i ELSE i * 1000 + 10000000 END FROM generate_series(1, %[2]d) i"},
		"sparse_analyzed": {make: "CREATE TABLE %[1]s (id bigint PRIMARY KEY, " + columns + "); INSERT INTO %[1]s SELECT CASE WHEN i %% 10 > 0 THEN i ELSE i * 1000 + 10000000 END FROM generate_series(1, %[2]d) i; ANALYZE %[1]s"},
		"uuid":            {make: "CREATE TABLE %[1]s (id uuid PRIMARY KEY, " + columns + "); INSERT INTO %[1]s SELECT md5(i::text)::uuid FROM generate_series(1, %[2]d) i"},
		"uuid_analyzed":   {make: "CREATE TABLE %[1]s (id uuid PRIMARY KEY, " + columns + "); INSERT INTO %[1]s SELECT md5(i::text)::uuid FROM generate_series(1, %[2]d) i; ANALYZE %[1]s"},
		// More pages than a sample reads.
		"uuid_large": {make: "CREATE TABLE %[1]s (id uuid PRIMARY KEY, " + columns + ", wide char(900) NOT NULL DEFAULT ''); ALTER TABLE %[1]s ALTER wide SET STORAGE PLAIN; INSERT INTO %[1]s SELECT md5(i::text)::uuid FROM generate_series(1, %[2]d) i"},
		// The order of the collation "C" is not that of the database.
		"text": {make: `CREATE TABLE %[1]s (id text COLLATE "C" PRIMARY KEY, ` + columns + "); INSERT INTO %[1]s SELECT CASE i %% 2 WHEN 0 THEN 'a' ELSE 'B' END || i FROM generate_series(1, %[2]d) i"},
		// Analyzed when it had a tenth of its rows.
		"text_stale": {make: "CREATE TABLE %[1]s (id text PRIMARY KEY, " + columns + "); INSERT INTO %[1]s SELECT 'a' || i FROM generate_series(1, %[2]d / 10) i; ANALYZE %[1]s; INSERT INTO %[1]s SELECT 'b' || i FROM generate_series(1, %[2]d * 9 / 10) i"},
		"time_stale": {make: "CREATE TABLE %[1]s (id timestamptz PRIMARY KEY, " + columns + "); INSERT INTO %[1]s SELECT '2026-01-01Z'::timestamptz + i * interval '1 s' FROM generate_series(1, %[2]d / 10) i; ANALYZE %[1]s; INSERT INTO %[1]s SELECT '2026-02-01Z'::timestamptz + i * interval '1 s' FROM generate_series(1, %[2]d * 9 / 10) i"},
		// One tenant has nearly everything.
		"composite": {make: "CREATE TABLE %[1]s (tenant int, name text, PRIMARY KEY (tenant, name), " + columns + "); INSERT INTO %[1]s SELECT CASE WHEN i %% 20 = 0 THEN i ELSE 50 END, 'x' || i FROM generate_series(1, %[2]d) i; ANALYZE %[1]s"},
		// Statistics of ten times the rows that there are.
		"emptied":              {make: "CREATE TABLE %[1]s (id bigint PRIMARY KEY, " + columns + "); INSERT INTO %[1]s SELECT generate_series(1, %[2]d * 10); ANALYZE %[1]s; DELETE FROM %[1]s WHERE id %% 10 > 0"},
		"partitioned":          {make: "CREATE TABLE %[1]s (id bigint PRIMARY KEY, " + columns + ") PARTITION BY RANGE (id); CREATE TABLE %[1]s_low PARTITION OF %[1]s FOR VALUES FROM (0) TO (1000); CREATE TABLE %[1]s_high PARTITION OF %[1]s FOR VALUES FROM (1000) TO (10000000); INSERT INTO %[1]s SELECT generate_series(1, %[2]d)"},
		"partitioned_analyzed": {make: "CREATE TABLE %[1]s (id bigint PRIMARY KEY, " + columns + ") PARTITION BY RANGE (id); CREATE TABLE %[1]s_low PARTITION OF %[1]s FOR VALUES FROM (0) TO (1000); CREATE TABLE %[1]s_high PARTITION OF %[1]s FOR VALUES FROM (1000) TO (10000000); INSERT INTO %[1]s SELECT generate_series(1, %[2]d); ANALYZE %[1]s"},
		"restricted": {
			make: "CREATE TABLE %[1]s (id bigint PRIMARY KEY, " + columns + "); INSERT INTO %[1]s SELECT generate_series(1, %[2]d * 10); ANALYZE %[1]s",
			more: fmt.Sprintf(", min_value => '%d', max_value => '%d'", 4*progressRows+1, 5*progressRows),
		},
		"restricted_tenant": {
			make: "CREATE TABLE %[1]s (tenant int, id int, PRIMARY KEY (tenant, id), " + columns + "); INSERT INTO %[1]s SELECT i %% 3, i / 3 FROM generate_series(0, %[2]d * 6) i; ANALYZE %[1]s",
			more: fmt.Sprintf(`, min_value => '["1", "0"]', max_value => '["1", "%d"]'`, progressRows-1),
		},
	}
}

// reading is what somebody saw of a migration.
type reading struct {
	control.Progress

	percent float64 // of the view, for those who read SQL
}

func TestProgressIsHonestForEveryKey(t *testing.T) {
	t.Parallel()
	db := database(t)
	kinds := kindsOfKeys()
	for name, k := range kinds {
		db.Exec(t, fmt.Sprintf(k.make, name, progressRows))
	}
	db.Exec(t, fmt.Sprintf("CREATE TABLE nulls (id int, v int, n int NOT NULL DEFAULT 0); INSERT INTO nulls (id) SELECT generate_series(1, %d)", progressRows))
	db.Exec(t, "CREATE INDEX ON nulls (v) WHERE v IS NULL")
	names := append(slices.Sorted(maps.Keys(kinds)), "nulls")
	start(t, db, with(works(t, bump, fill), workers(len(names))))
	for _, name := range names {
		work, more := "bump", kinds[name].more
		if name == "nulls" {
			work, more = "fill", ", batching_strategy => 'null', column_name => 'v'"
		}
		db.Exec(t, fmt.Sprintf("SELECT bbm.enqueue($1, $2, name => $2, batch_size => %d, target_duration => '0', pause => '80 ms'%s)", progressRows/progressBatches, more), work, name)
	}

	all := readAll(t, db, names)
	for _, name := range names {
		seen := all[name]
		require.Greater(t, len(seen), 10, name)
		previous := reading{}
		moving, worst := 0, 0.0
		for _, r := range seen {
			require.LessOrEqual(t, r.Percent, 100.0, name)
			require.GreaterOrEqual(t, r.Percent, previous.Percent, "%s: it falls", name)
			require.GreaterOrEqual(t, r.percent, previous.percent, "%s: it falls in the view", name)
			require.GreaterOrEqual(t, r.Keys, previous.Keys, name)
			require.Equal(t, r.Status == control.StatusFinished, r.Percent == 100, "%s: %+v", name, r)
			if r.Status == control.StatusRunning && r.Keys > 0 {
				worst = max(worst, math.Abs(100*float64(r.Keys)/progressRows-r.Percent))
			}
			if r.Pace == control.PaceMoving {
				moving++
				require.Positive(t, *r.KeysPerSecond, name)
			}
			previous = r
		}
		require.Positive(t, moving, "%s: nobody learned how fast it is", name)
		t.Logf("%s: %d readings, at most %.1f points off", name, len(seen), worst)
		require.Less(t, worst, 15.0, "%s: percentage points off", name)
		last := seen[len(seen)-1]
		require.Equal(t, control.PaceOver, last.Pace)
		require.Equal(t, int64(progressRows), last.Keys, name)
	}
}

// readAll reads the progress of all migrations over and over until they have
// finished, and returns every reading that is not the same as the one before.
func readAll(t *testing.T, db *pgtest.Database, names []string) map[string][]reading {
	t.Helper()
	conn := db.Conn(t)
	all := map[string][]reading{}
	deadline := time.After(5 * time.Minute)
	again := time.NewTicker(30 * time.Millisecond)
	defer again.Stop()
	for over := 0; over < len(names); {
		select {
		case <-deadline:
			require.FailNow(t, "the migrations do not finish")
		case <-again.C:
		}
		found, err := control.Store{}.Progress(t.Context(), conn, control.Selection{})
		require.NoError(t, err)
		viewed := map[string]float64{}
		rows, err := conn.Query(t.Context(), "SELECT name, percent::float8 FROM bbm.progress")
		require.NoError(t, err)
		for rows.Next() {
			var name string
			var percent float64
			require.NoError(t, rows.Scan(&name, &percent))
			viewed[name] = percent
		}
		require.NoError(t, rows.Err())
		over = 0
		for _, p := range found {
			if p.Over() {
				over++
			}
			all[p.Name] = append(all[p.Name], reading{Progress: p, percent: viewed[p.Name]})
		}
	}
	return all
}
