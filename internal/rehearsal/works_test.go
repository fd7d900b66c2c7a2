package rehearsal_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/rehearsal"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// callback is a Work in Go, whose batches also do what more does.
func callback(more func(ctx context.Context, tx pgx.Tx) error) (registry.Work, control.Candidate) {
	c := on(addOne)
	c.Work, c.Arguments = "callback", json.RawMessage("{}")
	return registry.Work{Name: "callback", Run: func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
		tag, err := tx.Exec(ctx, "UPDATE t SET n = n + 1 WHERE "+b.Where(), b.Args()...)
		if err == nil {
			err = more(ctx, tx)
		}
		return registry.Affected(tag), err
	}}, c
}

func TestCallback(t *testing.T) {
	t.Parallel()
	db := rows(t, 30_000)
	db.Exec(t, "CREATE TABLE log (id bigint); CREATE INDEX by_n ON t (n)")
	work, c := callback(func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO log SELECT count(n) FROM t WHERE n + 0 = 5")
		return err
	})
	r := rehearse(t, db, c, rehearsal.Options{Batches: 2, Size: 500}, work)
	untouched(t, db)
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM log"))
	require.Empty(t, r.Plan)
	require.Empty(t, r.Statement)
	require.Equal(t, []string{"note: the Work is a callback: its statements are not known before they run"}, about(r, "plan"))
	require.Regexp(t, `^warn: each batch read about 3\d,\d\d\d rows of public.t by sequential scans$`, about(r, "scans")[0])
	require.Equal(t, []string{"warn: 0 % of the updates are HOT: the others write to all of the table's 2 indexes"}, about(r, "indexes"))
	require.Equal(t, []string{"note: batches also write to public.log: 2 rows inserted"}, about(r, "writes"))
	require.Equal(t, int64(1000), r.Measured.Rows)
}

func TestCallbackThatBreaksTheRules(t *testing.T) {
	t.Parallel()
	db := rows(t, 100)
	work, c := callback(func(context.Context, pgx.Tx) error { panic("oh") })
	r := rehearse(t, db, c, rehearsal.Options{Batches: 1}, work)
	require.Contains(t, about(r, "batch")[0], "fail: keys up to 100: the Work panicked: oh")

	work, c = callback(func(ctx context.Context, tx pgx.Tx) error { return tx.Commit(ctx) })
	r = rehearse(t, db, c, rehearsal.Options{Batches: 1}, work)
	require.Contains(t, about(r, "batch")[0], "the transaction belongs to the batch")

	work, c = callback(func(ctx context.Context, tx pgx.Tx) error {
		_, _ = tx.Exec(ctx, "SELECT 1/0")
		return nil
	})
	r = rehearse(t, db, c, rehearsal.Options{Batches: 1}, work)
	require.Contains(t, about(r, "batch")[0], "went on after a statement had failed")

	work, c = callback(func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Query(ctx, "SELECT generate_series(1, 10000)") //nolint:sqlclosecheck // that is the mistake
		return err
	})
	_, err := try(t, db, c, rehearsal.Options{Batches: 1}, work)
	require.ErrorContains(t, err, "before it had closed its rows")
	untouched(t, db)

	work, c = callback(func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "COMMIT")
		return err
	})
	_, err = try(t, db, c, rehearsal.Options{Batches: 1}, work)
	require.ErrorContains(t, err, "what it did before was not undone")
}

func TestStrategyNull(t *testing.T) {
	t.Parallel()
	db := rows(t, 2000)
	db.Exec(t, "ALTER TABLE t ADD m int; UPDATE t SET m = 1 WHERE id > 1500; CREATE INDEX todo ON t (id) WHERE m IS NULL; ANALYZE t")
	c := on("UPDATE t SET m = 2 WHERE :range")
	c.Strategy, c.Columns = control.StrategyNull, new("m")
	r := rehearse(t, db, c, rehearsal.Options{Batches: 2, Size: 100})
	require.Equal(t, 1500, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE m IS NULL"))
	require.Equal(t, []string{"ok: a batch finds its rows by their address"}, about(r, "plan"))
	require.Equal(t, []string{`note: the batches tried have all the same rows, since any rows do whose "m" is NULL`}, about(r, "range"))
	require.Equal(t, []string{"warn: todo covers what the statement writes (m), so that every updated row writes to all of the table's 2 indexes"}, about(r, "indexes"))
	require.Equal(t, []int64{100, 100}, []int64{r.Batches[0].Rows, r.Batches[1].Rows})
	require.Equal(t, int64(1500), r.Forecast.Keys)
	require.Empty(t, r.Key)
}
