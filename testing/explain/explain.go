package explain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// runner is a connection or a transaction.
type runner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Conn is a connection that counts what its statements touch. It is not safe
// for concurrent use.
type Conn struct {
	runner

	cost *Cost
}

// Cost is what statements have touched.
type Cost struct {
	Statements int
	Buffers    int // of 8 kB, hit or read; one that is touched twice counts twice
}

// On returns conn, or a transaction, as a connection that counts.
func On(conn runner) *Conn { return &Conn{runner: conn, cost: &Cost{}} }

// Take returns the cost since the last call, and begins anew.
func (c *Conn) Take() Cost {
	cost := *c.cost
	*c.cost = Cost{}
	return cost
}

// Exec is [pgx.Conn.Exec].
func (c *Conn) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if err := c.explain(ctx, sql, args); err != nil {
		return pgconn.CommandTag{}, err
	}
	return c.runner.Exec(ctx, sql, args...)
}

// Query is [pgx.Conn.Query].
func (c *Conn) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := c.explain(ctx, sql, args); err != nil {
		return nil, err
	}
	return c.runner.Query(ctx, sql, args...)
}

// QueryRow is [pgx.Conn.QueryRow].
func (c *Conn) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if err := c.explain(ctx, sql, args); err != nil {
		return failed{err}
	}
	return c.runner.QueryRow(ctx, sql, args...)
}

// Begin begins a transaction whose statements count as well.
func (c *Conn) Begin(ctx context.Context) (pgx.Tx, error) {
	tx, err := c.runner.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return &transaction{Tx: tx, counted: &Conn{runner: tx, cost: c.cost}}, nil
}

// errExplained ends the transaction in which a statement was explained.
var errExplained = errors.New("explained")

// explain adds what a statement touches.
func (c *Conn) explain(ctx context.Context, sql string, args []any) error {
	var plans []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		}
	}
	err := pgx.BeginFunc(ctx, c.runner, func(tx pgx.Tx) error {
		var text []byte
		if err := tx.QueryRow(ctx, "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) "+sql, args...).Scan(&text); err != nil {
			return err
		}
		return errors.Join(json.Unmarshal(text, &plans), errExplained)
	})
	if !errors.Is(err, errExplained) || len(plans) != 1 {
		return fmt.Errorf("explain a statement: %w\nin: %s", err, sql)
	}
	c.cost.Statements++
	c.cost.Buffers += plans[0].Plan.Hit + plans[0].Plan.Read
	return nil
}

// transaction is a transaction whose statements count.
type transaction struct {
	pgx.Tx

	counted *Conn
}

// Exec is [pgx.Tx.Exec].
func (t *transaction) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return t.counted.Exec(ctx, sql, args...)
}

// Query is [pgx.Tx.Query].
func (t *transaction) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return t.counted.Query(ctx, sql, args...)
}

// QueryRow is [pgx.Tx.QueryRow].
func (t *transaction) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return t.counted.QueryRow(ctx, sql, args...)
}

// failed is the row of a statement that could not be explained.
type failed struct{ err error }

// Scan is [pgx.Row.Scan].
func (f failed) Scan(...any) error { return f.err }
