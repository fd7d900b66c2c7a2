package migtest_test

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/migtest"
)

// broken is a Work with a mistake that its author may well make.
type broken struct {
	migtest.Case

	fails []string // checks that find it
	says  string   // a part of what one of them says
}

const people = `
	CREATE TABLE people (id bigint PRIMARY KEY, email text NOT NULL, email_norm text, rank int, seen int NOT NULL DEFAULT 0);
	INSERT INTO people (id, email, seen) SELECT i * 10, 'User' || i || '@Example.com', i % 3 FROM generate_series(1, 24) i;
	CREATE TABLE marks (mark text PRIMARY KEY)`

// normalized is what most of the Works are to leave.
func normalized() migtest.Want {
	return migtest.NoRows("SELECT id FROM people WHERE email_norm IS NULL")
}

type run = func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error)

// inGo returns a case on the table people for a callback.
func inGo(run run) migtest.Case {
	return migtest.Case{Work: registry.Work{Name: "broken", Run: run}, Setup: people, Table: "people", Want: normalized()}
}

// inSQL returns a case on the table people for a statement.
func inSQL(text string) migtest.Case {
	return migtest.Case{
		Work:  registry.Work{Name: "broken", SQL: func(registry.Migration) (registry.Statement, error) { return registry.ParseStatement(text) }},
		Setup: people, Table: "people", Want: normalized(),
	}
}

const normalize = "UPDATE people SET email_norm = lower(email) WHERE "

// execute runs a statement whose parameters are the batch's range.
func execute(ctx context.Context, tx pgx.Tx, b registry.Batch, text string) (registry.Result, error) {
	tag, err := tx.Exec(ctx, text, b.Args()...)
	return registry.Affected(tag), err
}

func normalizeInGo(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
	return execute(ctx, tx, b, normalize+b.Where())
}

func brokenWorks() map[string]broken {
	return map[string]broken{
		"changes_nothing": {
			Case:  inGo(func(context.Context, pgx.Tx, registry.Batch) (registry.Result, error) { return registry.Result{}, nil }),
			fails: []string{"one_batch"}, says: "the Work changes nothing",
		},
		"wrong_result": {
			Case:  inSQL("UPDATE people SET email_norm = lower(email) WHERE :range AND seen > 0"),
			fails: []string{"one_batch"}, says: "8 rows are not as they should be",
		},
		"adds_one": {
			Case:  inSQL("UPDATE people SET seen = seen + 1, email_norm = lower(email) WHERE :range"),
			fails: []string{"twice"}, says: "a second run changes rows again",
		},
		"depends_on_batches": {
			Case:  inSQL("UPDATE people p SET email_norm = lower(email), rank = (SELECT count(*) FROM people WHERE rank IS NOT NULL) WHERE :range(p) AND rank IS NULL"),
			fails: []string{"batches_in_random_order", "batches_of_1", "batches_of_10", "batches_of_3", "batches_side_by_side", "executor", "keys_with_gaps", "table_that_somebody_writes", "twice"},
			says:  "the result depends on the size of batches",
		},
		"own_connection": {
			Case:  inGo(onItsOwnConnection),
			fails: []string{"rolled_back"}, says: "was rolled back and leaves something (write through tx and nowhere else)",
		},
		"ends_transaction": {
			Case: inGo(func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
				result, err := normalizeInGo(ctx, tx, b)
				return result, errors.Join(err, end(ctx, tx))
			}),
			fails: []string{"one_batch"}, says: "the Work ended the batch's transaction itself",
		},
		"commits": {
			Case: inGo(func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
				result, err := normalizeInGo(ctx, tx, b)
				return result, errors.Join(err, tx.Commit(ctx))
			}),
			fails: []string{"one_batch"}, says: "the transaction belongs to the batch",
		},
		"after_failure": {
			Case:  inGo(afterFailure),
			fails: []string{"one_batch"}, says: "the Work went on after a statement had failed",
		},
		"stale_read": {
			Case:  inGo(staleRead),
			fails: []string{"row_that_somebody_writes"}, says: "wrote what it had read before",
		},
		"stale_snapshot": {
			Case:  inSQL("WITH read AS MATERIALIZED (SELECT id, lower(email) AS norm FROM people WHERE :range) UPDATE people SET email_norm = norm FROM read WHERE read.id = people.id"),
			fails: []string{"row_that_somebody_writes"}, says: "wrote what it had read before",
		},
		"replaces_rows": {
			Case:  inSQL("WITH gone AS (DELETE FROM people WHERE :range RETURNING *) INSERT INTO people (id, email, email_norm, rank, seen) SELECT id, email, lower(email), rank, seen FROM gone"),
			fails: []string{"table_that_somebody_writes"}, says: "lost writes of somebody else",
		},
		"minimum_of_nothing": {
			Case:  inGo(minimum),
			fails: []string{"empty_range", "keys_with_gaps"}, says: "in a batch whose rows are gone",
		},
		"session_state": {
			Case:  inGo(sessionState),
			fails: []string{"batches_in_random_order", "batches_of_1", "batches_side_by_side", "executor"}, says: `relation "words" does not exist`,
		},
		"one_at_a_time": {
			Case:  inGo(alone),
			fails: []string{"batches_side_by_side"}, says: "batches that run side by side disturb one another",
		},
		"no_second_attempt": {
			Case: inGo(func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
				if b.Attempt > 1 {
					return registry.Result{}, nil
				}
				return normalizeInGo(ctx, tx, b)
			}),
			fails: []string{"second_attempts"}, says: "the result depends on whether a batch was tried before",
		},
		"remembers_in_memory": {
			Case: func() migtest.Case {
				var seen sync.Map
				return inGo(func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
					if _, again := seen.LoadOrStore(tx.Conn().Config().Database+b.End, true); again {
						return registry.Result{}, nil
					}
					return normalizeInGo(ctx, tx, b)
				})
			}(),
			fails: []string{"second_attempts"}, says: "the result depends on whether a batch was tried before",
		},
		"lenient_arguments": {
			Case: func() migtest.Case {
				c := inGo(normalizeInGo)
				c.Work.Arguments, c.Refused = new(lenient), []string{`{"no": "good"}`}
				return c
			}(),
			fails: []string{"arguments"}, says: `the Work accepts the arguments {"no_such_argument":true}`,
		},
		"refuses_its_table": {
			Case: func() migtest.Case {
				c := inGo(normalizeInGo)
				c.Work.Check = func(context.Context, registry.Querier, registry.Migration) error { return errors.New("no such column") }
				return c
			}(),
			fails: []string{"check", "executor"}, says: "the Work's Check refuses the case's table: no such column",
		},
		"writes_in_check": {
			Case: func() migtest.Case {
				c := inGo(normalizeInGo)
				c.Work.Check = func(ctx context.Context, db registry.Querier, _ registry.Migration) error {
					var mark string
					return db.QueryRow(ctx, "INSERT INTO marks VALUES ('checked') RETURNING mark").Scan(&mark)
				}
				return c
			}(),
			fails: []string{"check"}, says: "cannot execute INSERT in a read-only transaction",
		},
		"verifies_nothing": {
			Case:  verified("SELECT 0"),
			fails: []string{"verify"}, says: "Verify finds nothing wrong before the Work has run",
		},
		"verifies_everything": {
			Case:  verified("SELECT count(*) FROM people WHERE email_norm IS NULL"),
			fails: []string{"verify"}, says: "count rows of the range only",
		},
		"verifies_too_much": {
			Case:  verified("SELECT count(*) FROM people WHERE :range AND (seen = 1 OR email_norm IS NULL)"),
			fails: []string{"executor", "verify"}, says: "no migration with these arguments could finish",
		},
		"lower_bound_twice": {
			Case:  inSQL("UPDATE people SET email_norm = lower(email), rank = 1 WHERE id BETWEEN :start - 10 AND :end"),
			fails: []string{"empty_range", "stays_in_its_range"}, says: "writes rows outside of its range",
		},
	}
}

// end commits behind the back of the handle.
func end(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, "COMMIT")
	return err
}

// onItsOwnConnection leaves a mark where a rollback does not reach.
func onItsOwnConnection(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
	conn, err := pgx.Connect(ctx, tx.Conn().Config().ConnString())
	if err != nil {
		return registry.Result{}, err
	}
	defer conn.Close(ctx) //nolint:errcheck // it ends with the batch
	if _, err := conn.Exec(ctx, "INSERT INTO marks VALUES ('been here') ON CONFLICT DO NOTHING"); err != nil {
		return registry.Result{}, err
	}
	return normalizeInGo(ctx, tx, b)
}

// staleRead normalizes in Go what it has read without a lock.
func staleRead(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
	rows, err := tx.Query(ctx, "SELECT id, lower(email) FROM people WHERE "+b.Where(), b.Args()...)
	if err != nil {
		return registry.Result{}, err
	}
	norms := map[int64]string{}
	var id int64
	var norm string
	if _, err := pgx.ForEachRow(rows, []any{&id, &norm}, func() error { norms[id] = norm; return nil }); err != nil {
		return registry.Result{}, err
	}
	for id, norm := range norms {
		if _, err := tx.Exec(ctx, "UPDATE people SET email_norm = $2 WHERE id = $1", id, norm); err != nil {
			return registry.Result{}, err
		}
	}
	return registry.Result{Rows: int64(len(norms))}, nil
}

// sessionState keeps its words in a table of the session, which the first batch fills.
func sessionState(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
	if b.First {
		if _, err := tx.Exec(ctx, "CREATE TEMP TABLE IF NOT EXISTS words AS SELECT lower('X') AS word"); err != nil {
			return registry.Result{}, err
		}
	}
	return execute(ctx, tx, b, "UPDATE people SET email_norm = (SELECT word FROM words LIMIT 1) WHERE "+b.Where())
}

// afterFailure goes on after a statement that failed.
func afterFailure(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
	result, err := normalizeInGo(ctx, tx, b)
	if _, failed := tx.Exec(ctx, "INSERT INTO no_such_log VALUES (1)"); failed != nil {
		return result, err
	}
	return result, err
}

// minimum fails where a range has no rows any more.
func minimum(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
	var first int64
	if err := tx.QueryRow(ctx, "SELECT min(id) FROM people WHERE "+b.Where(), b.Args()...).Scan(&first); err != nil {
		return registry.Result{}, err
	}
	return normalizeInGo(ctx, tx, b)
}

// lenient are arguments that take anything.
type lenient struct{}

func (*lenient) UnmarshalJSON([]byte) error { return nil }

// verified returns a case whose Work verifies itself by the query.
func verified(query string) migtest.Case {
	c := inGo(normalizeInGo)
	c.Work.Verify = func(ctx context.Context, db registry.Querier, b registry.Batch) (wrong int64, err error) {
		text := strings.ReplaceAll(query, ":range", b.Where())
		var args []any
		if text != query {
			args = b.Args()
		}
		return wrong, db.QueryRow(ctx, text, args...).Scan(&wrong)
	}
	return c
}
