package executor_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// leaving returns a Work that leaves commands to the batch's transaction, the first of them the bump.
func leaving(more ...registry.Command) registry.Work {
	return registry.Work{Name: "w", Run: func(_ context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
		after, end := b.After, b.End
		bump := registry.Command{SQL: "UPDATE t SET n = n + 1 WHERE id > $1 AND id <= $2", Args: []*string{&after, &end}}
		if b.First {
			bump.SQL = "UPDATE t SET n = n + 1 WHERE id >= $1 AND id <= $2"
		}
		return registry.Result{Rows: 1}, tx.(registry.Finisher).Finish(append([]registry.Command{bump}, more...)...) //nolint:errcheck,forcetypeassert // it is what is tested
	}}
}

func TestLastStatementsTravelWithTheCommit(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 1000)
	db.Exec(t, "CREATE TABLE seen (batch int, nothing text)")
	count := "7"
	start(t, db, works(t, leaving(registry.Command{SQL: "INSERT INTO seen VALUES ($1, $2)", Args: []*string{&count, nil}})))
	enqueue(t, db, "w", "batch_size => 100")
	exactlyOnce(t, db)
	require.Equal(t, 10, pgtest.One[int](t, db, "SELECT count(*) FROM seen WHERE batch = 7 AND nothing IS NULL"))
	require.Equal(t, []int64{102}, pgtest.Column[int64](t, db, "SELECT DISTINCT rows_affected FROM "+jobsTable), "what Run said, and both statements")
	require.EqualValues(t, 1020, pgtest.One[int64](t, db, "SELECT rows_done FROM bbm.progress"))
}

func TestAFailureOfALastStatementIsTheBatchs(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 100)
	// The fence fails with the same code.
	start(t, db, works(t, leaving(registry.Command{SQL: "SELECT 1 / 0"})))
	enqueue(t, db, "w", "max_attempts => 1, batch_size => 100")
	db.WaitFor(t, "SELECT status = 'failed' FROM "+migrationsTable)
	require.Equal(t, "22012", pgtest.One[string](t, db, "SELECT error_sqlstate FROM "+migrationsTable))
	require.Contains(t, pgtest.One[string](t, db, "SELECT error_message FROM "+migrationsTable), "division by zero")
	require.Zero(t, pgtest.One[int](t, db, "SELECT sum(n) FROM t"))
}

func TestALastStatementThatEndsTheTransactionIsFound(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 100)
	start(t, db, works(t, leaving(registry.Command{SQL: "COMMIT"})))
	enqueue(t, db, "w", "batch_size => 10")
	db.WaitFor(t, "SELECT status = 'failed' FROM "+migrationsTable)
	require.Contains(t, pgtest.One[string](t, db, "SELECT error_message FROM "+migrationsTable), "the Work ended the batch's transaction itself")
}
