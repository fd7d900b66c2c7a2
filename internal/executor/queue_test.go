package executor_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// Two hundred migrations over fifty tables, some of them broken in every way:
// none keeps another from its turn.
func TestBrokenMigrationsStarveNobody(t *testing.T) {
	t.Parallel()
	db := database(t)
	db.Exec(t, `DO $$ BEGIN FOR i IN 1..50 LOOP
		EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)', i);
		EXECUTE format('INSERT INTO t%s SELECT generate_series(1, 20)', i);
	END LOOP; END $$;
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
	CREATE TABLE broken (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO broken SELECT generate_series(1, 20);
	CREATE TRIGGER refuse BEFORE UPDATE ON broken FOR EACH ROW EXECUTE FUNCTION refuse();
	CREATE TABLE keyless (id int)`)
	var sql strings.Builder
	for i := range 195 {
		fmt.Fprintf(&sql, "SELECT bbm.enqueue('bump', 't%d', name => 'good %d', batch_size => 10);", i%50+1, i)
	}
	bad := map[string]string{
		"unknown work": "'nobody_has_it', 't1'", "no key": "'bump', 'keyless'", "always fails": "'bump', 'broken', max_attempts => 1",
		"waits for ever": "'bump', 't2', depends_on => '{nothing}'", "range upside down": "'bump', 't3', min_value => '9', max_value => '1'",
	}
	for name, arguments := range bad {
		fmt.Fprintf(&sql, "SELECT bbm.enqueue(%s, priority => -1, name => '%s');", arguments, name)
	}
	db.Exec(t, sql.String())
	start(t, db, func(o *executor.Options) { o.Settings.Workers = 4 })
	start(t, db, func(o *executor.Options) { o.Settings.Workers = 2 })
	for _, done := range []int{50, 100, 150, 195} { // each has the time that a wait has
		db.WaitFor(t, "SELECT count(*) >= $1 FROM "+migrationsTable+" WHERE status = 'finished'", done)
	}
	db.WaitFor(t, "SELECT count(*) = 3 FROM "+migrationsTable+" WHERE status = 'failed' AND name IN ('no key', 'always fails', 'range upside down')")
	require.Equal(t, 2, pgtest.One[int](t, db, "SELECT count(*) FROM "+migrationsTable+" WHERE status = 'active' AND status_reason IS NOT NULL AND name IN ('unknown work', 'waits for ever')"))
	for i := range 50 {
		want := 4
		if i >= 45 {
			want = 3
		}
		require.Zero(t, pgtest.One[int](t, db, fmt.Sprintf("SELECT count(*) FROM t%d WHERE n <> %d", i+1, want)), i)
	}
}

func TestPartitionedTable(t *testing.T) {
	t.Parallel()
	for _, work := range []string{"bump", "bump_in_go"} {
		t.Run(work, func(t *testing.T) {
			t.Parallel()
			db := database(t)
			db.Exec(t, `CREATE TABLE t (id bigint, at date, n int NOT NULL DEFAULT 0, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
				CREATE TABLE t1 PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
				CREATE TABLE t2 PARTITION OF t FOR VALUES FROM ('2026-07-01') TO ('2027-01-01');
				INSERT INTO t SELECT i, '2026-01-01'::date + i % 365 FROM generate_series(1, 2000) i`)
			start(t, db, nil)
			enqueue(t, db, work, "batch_size => 150")
			exactlyOnce(t, db)
		})
	}
}

// Priority orders who begins; what runs goes on.
func TestLowerPriorityNumberBeginsFirst(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 10)
	db.Exec(t, `SELECT bbm.enqueue('bump', 't', name => 'last', priority => 5);
		SELECT bbm.enqueue('bump', 't', name => 'second'); SELECT bbm.enqueue('bump', 't', name => 'first', priority => -5)`)
	start(t, db, func(o *executor.Options) { o.Settings.Workers = 1 })
	db.WaitFor(t, "SELECT count(*) = 3 FROM "+migrationsTable+" WHERE status = 'finished'")
	require.Equal(t, []string{"first", "second", "last"}, pgtest.Column[string](t, db, "SELECT name FROM "+migrationsTable+" ORDER BY started_at"))
}

func TestDependencyIsWaitedFor(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 10)
	db.Exec(t, "CREATE TABLE u (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO u SELECT generate_series(1, 10)")
	start(t, db, nil)
	db.Exec(t, "SELECT bbm.enqueue('bump', 'u', name => 'before', paused => true)")
	enqueue(t, db, "bump", "depends_on => '{before}'")
	waitsBecause(t, db, "waits for before (paused) to finish")
	db.Exec(t, "SELECT bbm.resume('before')")
	ends(t, db, "finished")
	onlyOnce(t, db)
}
