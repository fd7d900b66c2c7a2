package executor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// goWork returns the Work "w", which does what bump does and then something else.
func goWork(then func(ctx context.Context, tx pgx.Tx, b registry.Batch) error) registry.Work {
	return registry.Work{Name: "w", Run: func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
		result, err := bumpInGo.Run(ctx, tx, b)
		if err != nil {
			return result, err
		}
		return result, then(ctx, tx, b)
	}}
}

// sqlWork returns the Work "w" that is one statement.
func sqlWork(text string) registry.Work {
	return registry.Work{Name: "w", SQL: func(registry.Migration) (registry.Statement, error) { return registry.ParseStatement(text) }}
}

// execute returns what runs statements one after the other.
func execute(statements ...string) func(context.Context, pgx.Tx, registry.Batch) error {
	return func(ctx context.Context, tx pgx.Tx, _ registry.Batch) error {
		for _, s := range statements {
			if _, err := tx.Exec(ctx, s); err != nil {
				return err
			}
		}
		return nil
	}
}

// crowd is many migrations, each with a Work and a table of its own, on one executor.
type crowd struct {
	t     *testing.T
	db    *pgtest.Database
	r     *replica
	names map[string]int // of the migrations; the number is in the names of table and Work
}

// gather runs a migration of ten batches with each Work. A failure is final.
func gather(t *testing.T, all map[string]registry.Work, before string) *crowd {
	t.Helper()
	c := &crowd{t: t, db: database(t), names: make(map[string]int)}
	c.db.Exec(t, before)
	var registered []registry.Work
	var enqueue strings.Builder
	for name, work := range all {
		i := len(registered)
		c.names[name] = i
		c.db.Exec(t, fmt.Sprintf("CREATE TABLE t%[1]d (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t%[1]d SELECT generate_series(1, 100)", i))
		work.Name = fmt.Sprintf("w%d", i)
		registered = append(registered, work)
		fmt.Fprintf(&enqueue, "SELECT bbm.enqueue('w%[1]d', 't%[1]d', name => '%[2]s', batch_size => 10, target_duration => '0', max_attempts => 1);", i, name)
	}
	c.r = start(t, c.db, with(works(t, registered...), workers(4), watch(soon)))
	c.db.Exec(t, enqueue.String())
	return c
}

// failed waits until a migration has failed, and returns why.
func (c *crowd) failed(name string) string {
	c.t.Helper()
	c.over(name)
	return one[string](c, name, "SELECT concat_ws(' ', status, error_sqlstate, error_message) FROM "+migrationsTable+" WHERE name = $1")
}

// over waits until a migration has finished or failed.
func (c *crowd) over(name string) {
	c.t.Helper()
	c.db.WaitFor(c.t, "SELECT status IN ('finished', 'failed') FROM "+migrationsTable+" WHERE name = $1", name)
}

func one[T any](c *crowd, name, sql string) T {
	c.t.Helper()
	return pgtest.One[T](c.t, c.db, sql, name)
}

// jobs counts jobs of a migration.
func (c *crowd) jobs(name, where string) int {
	c.t.Helper()
	return one[int](c, name, "SELECT count(*) FROM "+jobsTable+" j JOIN "+migrationsTable+" m ON m.id = j.batched_background_migration_id WHERE m.name = $1 AND "+where)
}

// rows counts rows of a migration's table.
func (c *crowd) rows(name, where string) int {
	c.t.Helper()
	return pgtest.One[int](c.t, c.db, fmt.Sprintf("SELECT count(*) FROM t%d WHERE %s", c.names[name], where))
}

func TestH9_WorkThatEndsTheTransactionFailsTheMigration(t *testing.T) {
	t.Parallel()
	const itself = "ended the batch's transaction itself"
	const invalid = "2D000"
	type then = func(context.Context, pgx.Tx, registry.Batch) error
	cases := map[string]struct {
		work then
		want string
	}{
		"COMMIT":              {execute("COMMIT"), itself},
		"ROLLBACK":            {execute("ROLLBACK"), itself},
		"COMMIT AND CHAIN":    {execute("COMMIT AND CHAIN"), itself},
		"COMMIT, BEGIN":       {execute("COMMIT", "BEGIN"), itself},
		"ROLLBACK, BEGIN":     {execute("ROLLBACK", "BEGIN"), itself},
		"ROLLBACK; BEGIN":     {simple("ROLLBACK; BEGIN; CREATE TEMP TABLE mine ()"), itself},
		"PREPARE TRANSACTION": {execute("PREPARE TRANSACTION 'bbmd_test_h9'"), itself},
		"CALL":                {execute("CALL commits()"), invalid},
		"DO":                  {execute("DO $$ BEGIN COMMIT; END $$"), invalid},
		"simple CALL":         {simple("CALL commits()"), invalid},
	}
	all := make(map[string]registry.Work)
	for name, c := range cases {
		all[name] = goWork(c.work)
	}
	crowd := gather(t, all, "CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$")
	for name, c := range cases {
		reason := crowd.failed(name)
		require.Contains(t, reason, "failed", name)
		require.Contains(t, reason, c.want, name)
		require.Zero(t, crowd.jobs(name, "j.status = 'finished'"), "%s: finished, and perhaps not done", name)
		if name != "PREPARE TRANSACTION" { // its rows are locked
			require.Zero(t, crowd.rows(name, "n > 1"), name)
		}
	}
	crowd.r.logs("migration failed")
}

// simple runs statements in one message of the simple protocol.
func simple(statements string) func(context.Context, pgx.Tx, registry.Batch) error {
	return func(ctx context.Context, tx pgx.Tx, _ registry.Batch) error {
		return tx.Conn().PgConn().Exec(ctx, statements).Close()
	}
}

func TestH9b_WhatAWorkLeavesOnItsSessionHarmsNobody(t *testing.T) {
	t.Parallel()
	inSQL := func(text string) registry.Work {
		return registry.Work{SQL: func(m registry.Migration) (registry.Statement, error) {
			return registry.ParseStatement(strings.ReplaceAll(text, "@table@", m.Table))
		}}
	}
	all := map[string]registry.Work{
		"unlocks":         goWork(execute("SELECT pg_advisory_unlock_all()")),
		"DEALLOCATE ALL":  goWork(execute("DEALLOCATE ALL")),
		"role":            goWork(execute("SET ROLE " + pgtest.Nobody)), // may not even look at the control schema
		"local role":      goWork(execute("SET LOCAL ROLE " + pgtest.Nobody)),
		"search_path":     goWork(execute("SET search_path = nowhere")),
		"read only":       goWork(execute("SET default_transaction_read_only = on")),
		"serializable":    goWork(execute("SET default_transaction_isolation = 'serializable'")),
		"plan cache":      goWork(execute("SET plan_cache_mode = force_custom_plan", "DISCARD PLANS")),
		"listens":         goWork(execute("LISTEN bbm_test", "NOTIFY bbm_test")),
		"savepoint":       goWork(execute("SAVEPOINT s")),
		"temporary table": goWork(execute("CREATE TEMP TABLE IF NOT EXISTS versions (n int)")),
		"sql unlocks":     inSQL("WITH u AS MATERIALIZED (SELECT pg_advisory_unlock_all()) UPDATE @table@ x SET n = n + 1 FROM u WHERE :range(x)"),
		"sql settings": inSQL(`WITH u AS MATERIALIZED (SELECT set_config('search_path', 'nowhere', false), set_config('enable_indexscan', 'off', false))
			UPDATE @table@ x SET n = n + 1 FROM u WHERE :range(x)`),
	}
	crowd := gather(t, all, "")
	for name := range all {
		require.Equal(t, "finished", crowd.failed(name), name)
		require.Zero(t, crowd.rows(name, "n <> 1"), name)
		require.Equal(t, 10, crowd.jobs(name, "j.status = 'finished'"), name)
	}
}

func TestWorkMisusesItsTransaction(t *testing.T) {
	t.Parallel()
	var kept pgx.Tx
	type then = func(ctx context.Context, tx pgx.Tx, b registry.Batch) error
	cases := map[string]struct {
		work then
		want string
	}{
		"commits":           {func(ctx context.Context, tx pgx.Tx, _ registry.Batch) error { return tx.Commit(ctx) }, "belongs to the batch"},
		"rolls back":        {func(ctx context.Context, tx pgx.Tx, _ registry.Batch) error { return tx.Rollback(ctx) }, "belongs to the batch"},
		"panics":            {func(context.Context, pgx.Tx, registry.Batch) error { panic("no such thing") }, "no such thing"},
		"panics with error": {func(context.Context, pgx.Tx, registry.Batch) error { panic(errors.New("nothing of the kind")) }, "nothing of the kind"},
		"divides by zero":   {execute("SELECT 1 / length('')"), "22012"},
		"hides an error": {func(ctx context.Context, tx pgx.Tx, _ registry.Batch) error {
			_, _ = tx.Exec(ctx, "SELECT nothing")
			return nil
		}, "went on after a statement had failed"},
		"keeps it": {func(ctx context.Context, tx pgx.Tx, _ registry.Batch) error {
			if kept == nil {
				kept = tx
			}
			_, err := kept.Exec(ctx, "SELECT 1")
			return err
		}, "has returned"},
		"leaves rows open": {func(ctx context.Context, tx pgx.Tx, _ registry.Batch) error {
			rows, err := tx.Query(ctx, "SELECT generate_series(1, 100000)")
			if err == nil {
				rows.Next()
			}
			return err
		}, "closed its rows or results"},
		"fails with rows open": {func(ctx context.Context, tx pgx.Tx, _ registry.Batch) error {
			_, err := tx.Query(ctx, "SELECT generate_series(1, 100000)") //nolint:sqlclosecheck // this is what it does wrong
			return errors.Join(errors.New("it did not work out"), err)
		}, "it did not work out"},
		"leaves results open": {func(ctx context.Context, tx pgx.Tx, _ registry.Batch) error {
			b := &pgx.Batch{}
			b.Queue("SELECT generate_series(1, 100000)")
			tx.SendBatch(ctx, b)
			return nil
		}, "closed its rows or results"},
	}
	all := make(map[string]registry.Work)
	for name, c := range cases {
		all[name] = goWork(c.work)
	}
	crowd := gather(t, all, "")
	for name, c := range cases {
		reason := crowd.failed(name)
		require.Contains(t, reason, "failed", name)
		require.Contains(t, reason, c.want, name)
		require.Zero(t, crowd.jobs(name, "crashes > 0"), "%s: the worker did not die of it", name)
		// What was finished is done, and nothing else.
		require.Zero(t, crowd.rows(name, "n > 1"), name)
		require.Equal(t, 10*crowd.jobs(name, "j.status = 'finished'"), crowd.rows(name, "n = 1"), name)
	}
	crowd.r.logs("batch failed")
}

func TestDivisionByZeroOfAWorkIsItsOwn(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 100)
	r := start(t, db, works(t, sqlWork("UPDATE t SET n = n + 1 / (id - 55) ^ 0 * (id <> 55)::int + 1 / (id - 55) * 0 WHERE :range")))
	enqueue(t, db, "w", "batch_size => 10, max_attempts => 1")
	ends(t, db, "failed")

	require.Contains(t, failure(t, db), "22012")
	require.NotContains(t, r.log.String(), "not this worker's")
	require.Equal(t, []string{"55"}, pgtest.Column[string](t, db, "SELECT max_value FROM "+jobsTable+" WHERE status = 'failed'"))
}

func TestWorkUsesEverythingOfItsTransaction(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 100)
	db.Exec(t, "CREATE TABLE seen (id bigint)")
	start(t, db, works(t, registry.Work{Name: "w", Run: everything}))
	enqueue(t, db, "w", "batch_size => 10")

	exactlyOnce(t, db)
	require.Equal(t, 20, pgtest.One[int](t, db, "SELECT count(*) FROM seen"))
	require.Equal(t, 10, pgtest.One[int](t, db, "SELECT count(*) FROM pg_largeobject_metadata"))
}

// everything uses each method of a transaction.
func everything(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
	undone, err := tx.Begin(ctx)
	if err != nil {
		return registry.Result{}, err
	}
	if _, err := undone.Exec(ctx, "UPDATE t SET n = 17"); err != nil {
		return registry.Result{}, err
	}
	if err := undone.Rollback(ctx); err != nil {
		return registry.Result{}, err
	}
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"seen"}, []string{"id"}, pgx.CopyFromRows([][]any{{1}, {2}})); err != nil {
		return registry.Result{}, err
	}
	objects := tx.LargeObjects()
	if _, err := objects.Create(ctx, 0); err != nil {
		return registry.Result{}, err
	}
	if _, err := tx.Prepare(ctx, "mine", "SELECT count(*) FROM seen"); err != nil {
		return registry.Result{}, err
	}
	var count int
	if err := tx.QueryRow(ctx, "mine").Scan(&count); err != nil {
		return registry.Result{}, err
	}
	batch := &pgx.Batch{}
	batch.Queue("UPDATE t SET n = n + 1 WHERE "+b.Where(), b.Args()...)
	results := tx.SendBatch(ctx, batch)
	tag, err := results.Exec()
	return registry.Affected(tag), errors.Join(err, results.Close())
}
