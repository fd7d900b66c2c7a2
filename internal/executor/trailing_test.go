package executor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

const (
	bumpRange = "UPDATE t SET n = n + 1 WHERE id > $1::bigint - $2::int AND id <= $3::bigint"
	straySQL  = "INSERT INTO stray SELECT $1::bigint"
)

// rangeOf are bumpRange's parameters.
func rangeOf(b registry.Batch) []any {
	first := 0
	if b.First {
		first = 1
	}
	return []any{b.After, first, b.End}
}

// stray is what a Work does that goes on after its first statement has failed: in every way, and whatever comes back.
func stray(ctx context.Context, tx pgx.Tx) {
	_, _ = tx.Exec(ctx, straySQL, 1)
	_, _ = tx.Exec(ctx, "INSERT INTO stray VALUES (2)")
	_, _ = tx.Conn().Exec(ctx, straySQL, 3)
	_, _ = tx.CopyFrom(ctx, pgx.Identifier{"stray"}, []string{"id"}, pgx.CopyFromRows([][]any{{int64(4)}}))
	batch := &pgx.Batch{}
	batch.Queue(straySQL, 5)
	batch.Queue(straySQL, 6)
	_ = tx.SendBatch(ctx, batch).Close()
	_, _ = tx.Conn().PgConn().Exec(ctx, "BEGIN; INSERT INTO stray VALUES (7); COMMIT").ReadAll()
}

// When a commit fails that nobody waits for, the next batch has begun already. Whatever it sends, and whatever it
// makes of the answers, none of it stays; both are done once in the end.
func TestACommitThatFailsBehindTheNextBatch(t *testing.T) {
	t.Parallel()
	type begin func(ctx context.Context, tx pgx.Tx, b registry.Batch) error
	inBatch := func(ctx context.Context, tx pgx.Tx, b registry.Batch) error {
		batch := &pgx.Batch{}
		batch.Queue("SELECT $1::int", 1)
		batch.Queue(bumpRange, rangeOf(b)...)
		return tx.SendBatch(ctx, batch).Close()
	}
	for name, begin := range map[string]begin{
		"one statement": func(ctx context.Context, tx pgx.Tx, b registry.Batch) error {
			_, err := tx.Exec(ctx, bumpRange, rangeOf(b)...)
			return err
		},
		"a simple query": func(ctx context.Context, tx pgx.Tx, b registry.Batch) error {
			_, err := tx.Exec(ctx, bumpRange, append([]any{pgx.QueryExecModeSimpleProtocol}, rangeOf(b)...)...)
			return err
		},
		"a savepoint": func(ctx context.Context, tx pgx.Tx, b registry.Batch) error {
			return pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, bumpRange, rangeOf(b)...)
				return err
			})
		},
		"a batch":                 inBatch,
		"a batch, encrypted":      inBatch,
		"a batch, not prepared":   inBatch,
		"not prepared, encrypted": inBatch,
		"a batch past the frontend": func(ctx context.Context, tx pgx.Tx, b registry.Batch) error {
			batch := &pgconn.Batch{}
			var values [][]byte
			for _, v := range rangeOf(b) {
				values = append(values, fmt.Append(nil, v))
			}
			batch.ExecParams(bumpRange, values, nil, nil, nil)
			_, err := tx.Conn().PgConn().ExecBatch(ctx, batch).ReadAll()
			return err
		},
		"a query": func(ctx context.Context, tx pgx.Tx, b registry.Batch) error {
			rows, err := tx.Query(ctx, bumpRange+" RETURNING id", rangeOf(b)...)
			if err == nil {
				_, err = pgx.CollectRows(rows, pgx.RowTo[int64])
			}
			return err
		},
		"a pipeline of two": func(ctx context.Context, tx pgx.Tx, b registry.Batch) error {
			p := tx.Conn().PgConn().StartPipeline(ctx)
			p.SendQueryParams("SELECT 1", nil, nil, nil, nil)
			p.SendPipelineSync()
			p.SendQueryParams("SELECT 2", nil, nil, nil, nil)
			if err := p.Sync(); err != nil {
				return err
			}
			for range 4 {
				if _, err := p.GetResults(); err != nil {
					return errors.Join(err, p.Close())
				}
			}
			if err := p.Close(); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, bumpRange, rangeOf(b)...)
			return err
		},
	} {
		for _, goesOn := range []bool{false, true} {
			name := name + ", and returns"
			if goesOn {
				name = strings.TrimSuffix(name, "returns") + "goes on"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				db := database(t)
				table(t, db, 200)
				db.Exec(t, `CREATE TABLE stray (id bigint); CREATE SEQUENCE tries;
					CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
					BEGIN
					  IF NEW.id IN (25, 115) AND nextval('tries') <= 2 THEN
					    RAISE EXCEPTION 'row % is refused at its commit', NEW.id USING ERRCODE = 'check_violation';
					  END IF;
					  RETURN NULL;
					END $$;
					CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`)
				as := db.Worker(t)
				if strings.Contains(name, "encrypted") {
					as = encrypted(t, as)
				}
				if strings.Contains(name, "not prepared") {
					as.URL += "&default_query_exec_mode=exec"
				}
				r := startAs(t, as, with(watch(soon), works(t, registry.Work{Name: "w", Run: func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
					err := begin(ctx, tx, b)
					if err != nil && goesOn {
						stray(ctx, tx)
						err = nil
					}
					return registry.Result{}, err
				}})))
				enqueue(t, db, "w", "batch_size => 10")

				exactlyOnce(t, db)
				require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM stray"))
				r.logs("row 25 is refused at its commit")
			})
		}
	}
}

// The answer to a commit comes with the next batch's first statement, which a guard goes before.
func TestACommitIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 200)
	r := newTapped(t, db)
	enqueue(t, db, "bump_in_go", "batch_size => 10")
	exactlyOnce(t, db)
	guards := 0
	for _, data := range r.process.recorded() {
		if i := strings.Index(string(data), "\x00bbmd_guard\x00"); i >= 0 && data[0] == 'B' {
			require.Less(t, i, 10, "first of all")
			require.Equal(t, 1, strings.Count(string(data), "S\x00\x00\x00\x04"), "one Sync")
			guards++
		}
	}
	require.Greater(t, guards, 10)
}

// newTapped starts a replica, all of whose writes are kept.
func newTapped(t *testing.T, db *pgtest.Database) *replica {
	t.Helper()
	r := start(t, db, nil)
	r.process.record()
	return r
}

// A Work that sends nothing has its batches committed all the same.
func TestAWorkThatSendsNothing(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 200)
	start(t, db, works(t, registry.Work{Name: "w", Run: func(context.Context, pgx.Tx, registry.Batch) (registry.Result, error) {
		return registry.Result{Rows: 10}, nil
	}}))
	enqueue(t, db, "w", "batch_size => 10")
	ends(t, db, "finished")
	tiles(t, db)
	require.Equal(t, 200, pgtest.One[int](t, db, "SELECT sum(rows_affected) FROM "+jobsTable))
}
