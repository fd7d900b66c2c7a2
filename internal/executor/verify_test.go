package executor_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// forgetful leaves a row out as often as the row says. Its Verify counts what is left out.
var forgetful = registry.Work{
	Name: "forgetful",
	Run: func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
		tag, err := tx.Exec(ctx, "UPDATE "+b.Table+" SET n = 1 WHERE skip = 0 AND "+b.Where(), b.Args()...)
		if err != nil {
			return registry.Result{}, err
		}
		_, err = tx.Exec(ctx, "UPDATE "+b.Table+" SET skip = skip - 1 WHERE skip > 0 AND "+b.Where(), b.Args()...)
		return registry.Affected(tag), err
	},
	Verify: func(ctx context.Context, db registry.Querier, b registry.Batch) (wrong int64, err error) {
		err = db.QueryRow(ctx, "SELECT count(*) FROM "+b.Table+" WHERE n <> 1 AND "+b.Where(), b.Args()...).Scan(&wrong)
		return wrong, err
	},
}

func TestFinishedOnlyWhenVerified(t *testing.T) {
	t.Parallel()
	db := database(t)
	db.Exec(t, `CREATE TABLE t (id uuid PRIMARY KEY, n int NOT NULL DEFAULT 0, skip int NOT NULL DEFAULT 0);
		INSERT INTO t (id) SELECT md5(i::text)::uuid FROM generate_series(1, 3000) i;
		UPDATE t SET skip = 2 WHERE id IN (SELECT id FROM t ORDER BY md5(id::text) LIMIT 5)`)
	start(t, db, works(t, forgetful))
	enqueue(t, db, "forgetful", "batch_size => 100")
	exactlyOnce(t, db)
	require.Equal(t, 2, pgtest.One[int](t, db, "SELECT max(verifications) FROM "+jobsTable))
	require.Equal(t, 30, pgtest.One[int](t, db, "SELECT count(*) FROM "+jobsTable))
}

// The halves of a split job are verified, and queued again, as any other.
func TestVerifyFindsTheHalvesOfSplitJobs(t *testing.T) {
	t.Parallel()
	db := database(t)
	db.Exec(t, `CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, skip int NOT NULL DEFAULT 0);
		INSERT INTO t (id) SELECT generate_series(1, 300); UPDATE t SET skip = 1 WHERE id IN (101, 155, 200)`)
	poison(t, db, 150)
	start(t, db, works(t, forgetful))
	enqueue(t, db, "forgetful", "batch_size => 100, max_attempts => 1")
	ends(t, db, "failed")
	cure(t, db, 150)
	db.Exec(t, "SELECT bbm.retry('m')")
	exactlyOnce(t, db)
}

func TestStillWrongFailsTheMigration(t *testing.T) {
	t.Parallel()
	db := database(t)
	db.Exec(t, `CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, skip int NOT NULL DEFAULT 0);
		INSERT INTO t (id) SELECT generate_series(1, 300); UPDATE t SET skip = 100 WHERE id = 250`)
	start(t, db, works(t, forgetful))
	enqueue(t, db, "forgetful", "batch_size => 100")
	ends(t, db, "failed")
	require.Contains(t, failure(t, db), "keys after 200 up to 300): 1 rows are still not as forgetful should leave them")
}

func TestVerifyThatFailsIsReported(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 300)
	broken := bump
	broken.Name = "broken"
	broken.Verify = func(context.Context, registry.Querier, registry.Batch) (int64, error) {
		return 0, errors.New("no idea")
	}
	start(t, db, with(works(t, broken), func(o *executor.Options) { o.Settings.MaxAttempts = 2 }))
	enqueue(t, db, "broken", "batch_size => 100")
	ends(t, db, "failed")
	require.Contains(t, failure(t, db), "no idea")
}

// A Work may be able to verify some migrations and not others.
func TestUnverifiableFinishesAsIfThereWereNoVerify(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 300)
	unsure := bump
	unsure.Name = "unsure"
	unsure.Verify = func(context.Context, registry.Querier, registry.Batch) (int64, error) {
		return 0, registry.ErrUnverifiable
	}
	start(t, db, works(t, unsure))
	enqueue(t, db, "unsure", "batch_size => 100")
	exactlyOnce(t, db)
}
