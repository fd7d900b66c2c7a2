package migtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/registry"
)

// patience is how long a migration may take under the executor.
const patience = time.Minute

var errOver = errors.New("the check is over")

// executor runs the migration as a daemon does, and ends the sessions of its
// workers: once between two batches, and once in the middle of one, where
// batches wait for a row that somebody holds.
func (r *trial) executor() {
	r.enqueue()
	conn := r.another()
	held, err := conn.Begin(r.t.Context())
	r.must(err, "begin")
	// A lock that no writer takes, so that the start does not wait for it.
	row := r.at.row(r.keys[len(r.keys)/2])
	_, err = held.Exec(r.t.Context(), "SELECT FROM "+r.at.table+" WHERE "+row.Where()+" FOR UPDATE", row.Args()...)
	r.must(err, "hold a row")

	stop := r.startExecutor(&cutter{killed: r.endSessions})
	defer stop()
	if pid := r.blocked(conn.PgConn().PID()); pid != 0 {
		r.db.Exec(r.t, "SELECT pg_terminate_backend($1)", pid)
	}
	r.must(held.Rollback(r.t.Context()), "let the row go")
	r.finished()
	r.asInOneBatch("sessions that end in the middle: every row has to be processed by exactly one batch that is committed")
}

// undisturbed runs the migration as a daemon does.
func (r *trial) undisturbed(of string) {
	r.enqueue()
	stop := r.startExecutor(executor.NoObserver{})
	defer stop()
	r.finished()
	r.asInOneBatch(of)
}

func (r *trial) enqueue() {
	r.t.Helper()
	parallelism, size := int32(2), int32(max(1, min(1000, len(r.keys)/8)))
	if r.Alone {
		parallelism = 1
	}
	request := control.Request{
		Work: r.Work.Name, Table: r.at.table, Arguments: []byte(r.Arguments), Name: migrationName,
		BatchSize: &size, Parallelism: &parallelism,
	}
	for i, c := range r.at.key {
		if i > 0 {
			request.Columns += ","
		}
		request.Columns += c.Name
	}
	_, err := control.NewStore("").Enqueue(r.t.Context(), r.conn(), request)
	r.must(err, "enqueue the migration")
}

// startExecutor starts an executor and returns what ends it.
func (r *trial) startExecutor(observer executor.Observer) (stop func()) {
	r.t.Helper()
	works := registry.New()
	r.must(works.Register(r.Work), "register the Work")
	settings := executor.DefaultSettings()
	settings.TakeoverInterval = 100 * time.Millisecond
	settings.MaxAttempts = 2 // sessions that end do not count
	run := executor.New(executor.Options{
		Database: "migtest",
		Pool:     r.db.Pool(r.t),
		Connect: func(ctx context.Context, application string) (*pgx.Conn, error) {
			config, err := pgx.ParseConfig(r.db.URL)
			if err != nil {
				return nil, err
			}
			config.RuntimeParams["application_name"] = application
			return pgx.ConnectConfig(ctx, config)
		},
		Store:    control.NewStore(""),
		Registry: works,
		Logger:   slog.New(slog.NewTextHandler(r.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
		Observer: observer,
		Settings: settings,
	})
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- run.Run(ctx) }()
	return func() {
		cancel(errOver)
		if err := <-ended; !errors.Is(err, errOver) {
			r.t.Errorf("the executor ended: %v", err)
		}
	}
}

// cutter ends the workers' sessions after the second batch.
type cutter struct {
	executor.NoObserver

	mu      sync.Mutex
	batches int
	killed  func()
}

var _ executor.Observer = (*cutter)(nil)

// BatchDone counts.
func (c *cutter) BatchDone(_, outcome string, _ int64, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if outcome != "finished" {
		return
	}
	if c.batches++; c.batches == 2 {
		c.killed()
	}
}

// Reconciled does nothing.
func (*cutter) Reconciled(map[string]int, time.Duration, time.Duration) {}

// Claimed does nothing.
func (*cutter) Claimed(string, int, time.Duration) {}

// TookOver does nothing.
func (*cutter) TookOver(string, int64) {}

// MigrationEnded does nothing.
func (*cutter) MigrationEnded(string, string) {}

const workersSQL = "datname = current_database() AND application_name LIKE 'bbmd/%'"

// endSessions ends the sessions of all workers.
func (r *trial) endSessions() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := connect(ctx, r.db.URL)
	if err == nil {
		defer hangUp(conn)
		_, err = conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "+workersSQL)
	}
	if err != nil {
		r.t.Errorf("end the workers' sessions: %v", err)
	}
}

// blocked returns a worker's session that waits for the holder of the row, or 0 if
// the migration is over before one does.
func (r *trial) blocked(holder uint32) (pid int32) {
	r.t.Helper()
	r.wait(fmt.Sprintf("SELECT pid FROM pg_stat_activity WHERE %s AND %d = ANY (pg_blocking_pids(pid)) UNION ALL SELECT 0 FROM %s WHERE %s LIMIT 1",
		workersSQL, holder, migrationsTable, over), &pid)
	return pid
}

const (
	migrationsTable = "bbm.batched_background_migrations"
	over            = "status IN ('finished', 'failed', 'cancelled')"
)

// finished waits until the migration is over, and demands that all of its jobs are finished.
func (r *trial) finished() {
	r.t.Helper()
	var status string
	r.wait("SELECT status || coalesce(': ' || error_message, '') FROM "+migrationsTable+" WHERE "+over, &status)
	if status != control.StatusFinished {
		r.t.Fatalf("the migration ended as %s", status)
	}
	var open int
	err := r.conn().QueryRow(r.t.Context(), "SELECT count(*) FROM bbm.batched_background_migration_jobs WHERE status <> 'finished'").Scan(&open)
	r.must(err, "count the jobs")
	if open > 0 {
		r.t.Errorf("%d jobs are not finished", open)
	}
}

// wait waits until a query returns a row.
func (r *trial) wait(query string, found any) {
	r.t.Helper()
	conn, deadline := r.another(), time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := conn.QueryRow(r.t.Context(), query).Scan(found)
		if err == nil {
			return
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			r.t.Fatalf("wait: %v", err)
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			r.t.Fatalf("nothing after %s: the migration %s", patience, r.state())
		}
	}
}

// state says what the migration does, and why.
func (r *trial) state() string {
	var state string
	err := r.conn().QueryRow(r.t.Context(), "SELECT status || coalesce(': ' || status_reason, '') FROM "+migrationsTable).Scan(&state)
	if err != nil {
		return err.Error()
	}
	return "is " + state
}
