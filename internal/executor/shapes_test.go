package executor_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// Whatever keys look like, and up to the ends of their types, the jobs tile their range, and each but the last holds as many of them as it was to have.
func TestBatchesOfEveryShapeOfKeys(t *testing.T) {
	t.Parallel()
	shapes := map[string]struct{ typ, keys string }{
		"without a gap":         {"bigint", "SELECT i FROM generate_series(1, 2000) i"},
		"one short of a batch":  {"bigint", "SELECT i FROM generate_series(1, 1999) i"},
		"one more than a batch": {"bigint", "SELECT i FROM generate_series(1, 2001) i"},
		"negative":              {"bigint", "SELECT i FROM generate_series(-1000, 999) i"},
		"the largest":           {"bigint", "SELECT 9223372036854775807 - i FROM generate_series(0, 1999) i"},
		"the smallest":          {"bigint", "SELECT -9223372036854775808 + i FROM generate_series(0, 1999) i"},
		"from end to end":       {"bigint", "SELECT -9223372036854775808 + i FROM generate_series(0, 999) i UNION ALL SELECT 9223372036854775807 - i FROM generate_series(0, 999) i"},
		"the largest integer":   {"integer", "SELECT 2147483647 - i FROM generate_series(0, 1999) i"},
		"the smallest integer":  {"integer", "SELECT -2147483648 + i FROM generate_series(0, 1999) i"},
		"the largest smallint":  {"smallint", "SELECT (32767 - i)::smallint FROM generate_series(0, 1999) i"},
		"one in ten is missing": {"bigint", "SELECT i FROM generate_series(1, 2222) i WHERE i % 10 <> 7"},
	}
	for name, s := range shapes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, work := range []string{"bump", "bump_in_go"} {
				db := database(t)
				db.Exec(t, fmt.Sprintf("CREATE TABLE t (id %s PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t %s", s.typ, s.keys))
				start(t, db, nil)
				enqueue(t, db, work, "batch_size => 50")
				exactlyOnce(t, db)
				tiles(t, db)

				keys := fmt.Sprintf(`(SELECT count(*) FROM t WHERE CASE WHEN after_value IS NULL THEN id >= j.min_value::%[1]s ELSE id > j.after_value::%[1]s END AND id <= j.max_value::%[1]s)`, s.typ)
				require.Equal(t, 50, pgtest.One[int](t, db, "SELECT max("+keys+") FROM "+jobsTable+" j"))
				require.Equal(t, pgtest.One[int](t, db, "SELECT (count(*) + 49) / 50 FROM t"), pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable))
			}
		})
	}
}

// A table's rows are those of the tables that inherit from it, too, and its key is unique in each only.
func TestKeysThatAreUniqueInEachOfSeveralTables(t *testing.T) {
	t.Parallel()
	db := database(t)
	db.Exec(t, `CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT generate_series(1, 1000);
		CREATE TABLE child (PRIMARY KEY (id)) INHERITS (t); INSERT INTO child SELECT generate_series(301, 1000)`)
	start(t, db, nil)
	enqueue(t, db, "bump", "batch_size => 50")
	exactlyOnce(t, db)
	require.LessOrEqual(t, pgtest.One[int](t, db, "SELECT max((SELECT count(*) FROM t WHERE id > j.after_value::bigint AND id <= j.max_value::bigint)) FROM "+jobsTable+" j"), 51)
}
