package executor_test

import (
	"context"
	"flag"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestMain(m *testing.M) {
	// They wait more than they compute; the command line has the last word.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	pgtest.Main(m)
}

// bump is not idempotent: a row processed twice shows.
var bump = registry.Work{
	Name: "bump",
	SQL: func(m registry.Migration) (registry.Statement, error) {
		return registry.ParseStatement("UPDATE " + m.Table + " SET n = n + 1 WHERE :range")
	},
}

var bumpInGo = registry.Work{
	Name: "bump_in_go",
	Run: func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
		tag, err := tx.Exec(ctx, "UPDATE "+b.Table+" SET n = n + 1 WHERE "+b.Where(), b.Args()...)
		return registry.Affected(tag), err
	},
}

func TestEveryRowOnce(t *testing.T) {
	t.Parallel()
	keys := map[string]string{
		"bigint":      "CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT generate_series(1, 25000)",
		"int":         "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT generate_series(-5000, 5000)",
		"uuid":        "CREATE TABLE t (id uuid PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT gen_random_uuid() FROM generate_series(1, 10000)",
		"text":        "CREATE TABLE t (id text PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT md5(i::text) FROM generate_series(1, 10000) i",
		"text C":      `CREATE TABLE t (id text COLLATE "C" PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT chr(60 + i % 60) || '"\,' || i FROM generate_series(1, 10000) i`,
		"timestamptz": "CREATE TABLE t (id timestamptz PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT now() + i * interval '1.000001 s' FROM generate_series(1, 10000) i",
		"numeric":     "CREATE TABLE t (id numeric PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT i / 7.0 FROM generate_series(1, 10000) i",
		"composite":   `CREATE TABLE t (a int, "B b" text, n int NOT NULL DEFAULT 0, PRIMARY KEY (a, "B b")); INSERT INTO t SELECT i % 7, 'k"' || i FROM generate_series(1, 10000) i`,
	}
	for name, create := range keys {
		for _, work := range []string{"bump", "bump_in_go"} {
			t.Run(name+"/"+work, func(t *testing.T) {
				t.Parallel()
				db := database(t)
				db.Exec(t, create)
				start(t, db, nil)
				db.Exec(t, "SELECT bbm.enqueue('"+work+"', 't', name => 'm', batch_size => 300)")
				db.WaitFor(t, "SELECT status IN ('finished', 'failed') FROM bbm.batched_background_migrations WHERE name = 'm'")
				require.Equal(t, "finished", pgtest.One[string](t, db, "SELECT concat_ws(': ', status, error_message) FROM bbm.batched_background_migrations"))
				require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n <> 1"))
				require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.batched_background_migration_jobs WHERE status <> 'finished'"))
			})
		}
	}
}
