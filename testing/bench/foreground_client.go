package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// transaction is one kind of what the foreground does.
type transaction struct {
	name string
	what string // for the report
	run  func(ctx context.Context, conn *pgx.Conn, rows int) error
}

// The foreground is what pgbench's TPC-B-like script does, and single-row updates of the
// table that is backfilled.
const (
	accounts = 100_000
	tellers  = 100
	branches = 10
	// ratePerClient is transactions a second: a few percent of what the server could do.
	ratePerClient = 100
	clientCount   = 4
	sameTableOf   = 4 // one transaction of so many is on the backfilled table
)

func transactions() []transaction {
	return []transaction{
		{name: "tpcb", what: "on tables of its own", run: tpcB},
		{name: "same", what: "on a row of the backfilled table", run: sameTable},
	}
}

// fillForeground makes the tables. Half of each page is free, so that rows which are
// updated again and again find room on theirs, as with an autovacuum that keeps up.
func (d *database) fillForeground(ctx context.Context, rows int) error {
	return d.run(ctx,
		"CREATE TABLE bench_rows (id bigint NOT NULL, a text NOT NULL, b int NOT NULL DEFAULT 0) WITH (fillfactor = 45)",
		fmt.Sprintf("INSERT INTO bench_rows SELECT i, rpad(i::text, 36, '.') FROM generate_series(1, %d) i", rows),
		"ALTER TABLE bench_rows ADD PRIMARY KEY (id)",
		"CREATE TABLE accounts (id int NOT NULL, balance int NOT NULL DEFAULT 0, filler char(84)) WITH (fillfactor = 50)",
		fmt.Sprintf("INSERT INTO accounts SELECT generate_series(1, %d)", accounts), "ALTER TABLE accounts ADD PRIMARY KEY (id)",
		"CREATE TABLE tellers (id int NOT NULL, balance int NOT NULL DEFAULT 0, filler char(84)) WITH (fillfactor = 10)",
		fmt.Sprintf("INSERT INTO tellers SELECT generate_series(1, %d)", tellers), "ALTER TABLE tellers ADD PRIMARY KEY (id)",
		"CREATE TABLE branches (id int NOT NULL, balance int NOT NULL DEFAULT 0, filler char(88)) WITH (fillfactor = 10)",
		fmt.Sprintf("INSERT INTO branches SELECT generate_series(1, %d)", branches), "ALTER TABLE branches ADD PRIMARY KEY (id)",
		"CREATE TABLE history (teller int, branch int, account int, delta int, at timestamp, filler char(22))",
		"VACUUM (ANALYZE)")
}

// tpcB is one transaction, a round trip for each of its statements.
func tpcB(ctx context.Context, conn *pgx.Conn, _ int) error {
	account, teller, branch, delta := 1+rand.IntN(accounts), 1+rand.IntN(tellers), 1+rand.IntN(branches), rand.IntN(10000)-5000 //nolint:gosec // not a secret
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var balance int
		if _, err := tx.Exec(ctx, "UPDATE accounts SET balance = balance + $1 WHERE id = $2", delta, account); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, "SELECT balance FROM accounts WHERE id = $1", account).Scan(&balance); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE tellers SET balance = balance + $1 WHERE id = $2", delta, teller); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE branches SET balance = balance + $1 WHERE id = $2", delta, branch); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO history VALUES ($1, $2, $3, $4, current_timestamp)", teller, branch, account, delta)
		return err
	})
}

// sameTable is one row of the table that is backfilled.
func sameTable(ctx context.Context, conn *pgx.Conn, rows int) error {
	_, err := conn.Exec(ctx, "UPDATE bench_rows SET b = b + 1 WHERE id = $1", 1+rand.IntN(rows)) //nolint:gosec // not a secret
	return err
}

// clients are the foreground's sessions.
type clients struct {
	rows  int
	conns []*pgx.Conn

	mu        sync.Mutex
	latencies map[string][]float64 // microseconds
}

func newClients(ctx context.Context, d *database, rows int) (*clients, error) {
	c := &clients{rows: rows, latencies: map[string][]float64{}}
	for range clientCount {
		conn, err := d.connect(ctx, "bench foreground")
		if err != nil {
			c.close(ctx)
			return nil, err
		}
		c.conns = append(c.conns, conn)
	}
	return c, nil
}

func (c *clients) close(ctx context.Context) {
	for _, conn := range c.conns {
		closeConn(ctx, conn)
	}
}

// take returns the latencies, and begins anew.
func (c *clients) take() map[string][]float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.latencies
	c.latencies = map[string][]float64{}
	return taken
}

// run lets all clients work for that long.
func (c *clients) run(ctx context.Context, length time.Duration) error {
	var all sync.WaitGroup
	errs := make([]error, len(c.conns))
	for i, conn := range c.conns {
		all.Go(func() { errs[i] = c.work(ctx, conn, length) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// work runs transactions at a fixed rate, whatever they take: each one's time counts from when it
// was due, so that waiting behind a slow one is not left out.
func (c *clients) work(ctx context.Context, conn *pgx.Conn, length time.Duration) error {
	const every = time.Second / ratePerClient
	kinds := transactions()
	timer := time.NewTimer(0)
	defer timer.Stop()
	offset := time.Duration(rand.Int64N(int64(every))) //nolint:gosec // not a secret
	began := time.Now().Add(offset)
	for n := range int(length / every) {
		due := began.Add(time.Duration(n) * every)
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		kind := kinds[0]
		if n%sameTableOf == 0 {
			kind = kinds[1]
		}
		if err := kind.run(ctx, conn, c.rows); err != nil {
			return fmt.Errorf("foreground: %w", err)
		}
		took := float64(time.Since(due).Nanoseconds()) / 1000
		c.mu.Lock()
		c.latencies[kind.name] = append(c.latencies[kind.name], took)
		c.mu.Unlock()
	}
	return nil
}
