package executor_test

import (
	"context"
	"errors"
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

func TestH9_WorkThatEndsTheTransactionFailsTheMigration(t *testing.T) {
	t.Parallel()
	const itself = "ended the batch's transaction itself"
	const invalid = "2D000"
	for name, c := range map[string]struct {
		work registry.Work
		want string
	}{
		"COMMIT":              {goWork(execute("COMMIT")), itself},
		"ROLLBACK":            {goWork(execute("ROLLBACK")), itself},
		"COMMIT AND CHAIN":    {goWork(execute("COMMIT AND CHAIN")), itself},
		"COMMIT, BEGIN":       {goWork(execute("COMMIT", "BEGIN")), itself},
		"ROLLBACK, BEGIN":     {goWork(execute("ROLLBACK", "BEGIN")), itself},
		"ROLLBACK; BEGIN":     {goWork(simple("ROLLBACK; BEGIN; UPDATE t SET n = n")), itself},
		"PREPARE TRANSACTION": {goWork(execute("PREPARE TRANSACTION 'bbmd_test_h9'")), itself},
		"CALL":                {goWork(execute("CALL commits()")), invalid},
		"DO":                  {goWork(execute("DO $$ BEGIN COMMIT; END $$")), invalid},
		"simple CALL":         {goWork(simple("CALL commits()")), invalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			table(t, db, 100)
			db.Exec(t, "CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$")
			r := start(t, db, works(t, c.work))
			enqueue(t, db, "w", "batch_size => 10, max_attempts => 1")
			ends(t, db, "failed")

			require.Contains(t, failure(t, db), c.want)
			require.Contains(t, r.log.String(), "migration failed")
			require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE status = 'finished'"), "finished, and perhaps not done")
			require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n > 1"))
		})
	}
}

// simple runs statements in one message of the simple protocol.
func simple(statements string) func(context.Context, pgx.Tx, registry.Batch) error {
	return func(ctx context.Context, tx pgx.Tx, _ registry.Batch) error {
		return tx.Conn().PgConn().Exec(ctx, statements).Close()
	}
}

func TestH9b_WhatAWorkLeavesOnItsSessionHarmsNobody(t *testing.T) {
	t.Parallel()
	const role = "SET ROLE pg_monitor" // may not even look at the control schema
	for name, work := range map[string]registry.Work{
		"unlocks":         goWork(execute("SELECT pg_advisory_unlock_all()")),
		"DEALLOCATE ALL":  goWork(execute("DEALLOCATE ALL")),
		"role":            goWork(execute(role)),
		"local role":      goWork(execute("SET LOCAL ROLE pg_monitor")),
		"search_path":     goWork(execute("SET search_path = nowhere")),
		"read only":       goWork(execute("SET default_transaction_read_only = on")),
		"serializable":    goWork(execute("SET default_transaction_isolation = 'serializable'")),
		"statement limit": goWork(execute("SET statement_timeout = '20ms'", "SET lock_timeout = '20ms'")),
		"plan cache":      goWork(execute("SET plan_cache_mode = force_custom_plan", "DISCARD PLANS")),
		"listens":         goWork(execute("LISTEN bbm_test", "NOTIFY bbm_test")),
		"savepoint":       goWork(execute("SAVEPOINT s")),
		"temporary table": goWork(execute("CREATE TEMP TABLE IF NOT EXISTS versions (n int)")),
		"sql unlocks":     sqlWork("WITH u AS MATERIALIZED (SELECT pg_advisory_unlock_all()) UPDATE t SET n = n + 1 FROM u WHERE :range(t)"),
		"sql settings": sqlWork(`WITH u AS MATERIALIZED (SELECT set_config('search_path', 'nowhere', false), set_config('enable_indexscan', 'off', false))
			UPDATE public.t SET n = n + 1 FROM u WHERE :range(t)`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			table(t, db, 100)
			start(t, db, works(t, work))
			enqueue(t, db, "w", "batch_size => 10, max_attempts => 1")

			exactlyOnce(t, db)
		})
	}
}

func TestWorkMisusesItsTransaction(t *testing.T) {
	t.Parallel()
	var kept pgx.Tx
	for name, c := range map[string]struct {
		work func(ctx context.Context, tx pgx.Tx, b registry.Batch) error
		want string
	}{
		"commits":           {func(ctx context.Context, tx pgx.Tx, _ registry.Batch) error { return tx.Commit(ctx) }, "belongs to the batch"},
		"rolls back":        {func(ctx context.Context, tx pgx.Tx, _ registry.Batch) error { return tx.Rollback(ctx) }, "belongs to the batch"},
		"panics":            {func(context.Context, pgx.Tx, registry.Batch) error { panic("no such thing") }, "no such thing"},
		"panics with error": {func(context.Context, pgx.Tx, registry.Batch) error { panic(errors.New("nothing of the kind")) }, "nothing of the kind"},
		"divides by zero":   {execute("SELECT 1 / (n - n) FROM t"), "22012"},
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
		}, "rows"},
		"fails with rows open": {func(ctx context.Context, tx pgx.Tx, _ registry.Batch) error {
			_, err := tx.Query(ctx, "SELECT generate_series(1, 100000)") //nolint:sqlclosecheck // that is the mistake
			return errors.Join(errors.New("it did not work out"), err)
		}, "it did not work out"},
		"leaves results open": {func(ctx context.Context, tx pgx.Tx, _ registry.Batch) error {
			b := &pgx.Batch{}
			b.Queue("SELECT generate_series(1, 100000)")
			tx.SendBatch(ctx, b)
			return nil
		}, "results"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			table(t, db, 100)
			r := start(t, db, works(t, goWork(c.work)))
			enqueue(t, db, "w", "batch_size => 1, max_attempts => 1")
			ends(t, db, "failed")

			require.Contains(t, failure(t, db), c.want)
			require.Contains(t, r.log.String(), "batch failed")
			require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE crashes > 0"), "the worker did not die of it")
			// What was finished is done, and nothing else.
			require.Equal(t, pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable+" WHERE status = 'finished'"), pgtest.One[int](t, db, "SELECT sum(n) FROM t"))
		})
	}
}

func TestDivisionByZeroOfAWorkIsItsOwn(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
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
	db := pgtest.New(t)
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
