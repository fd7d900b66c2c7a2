package initialize

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// What builds CONCURRENTLY waits for others' transactions for as long as these last, and
// a program that does not heed our limits for anything: who they are is said after waitsAfter,
// and looked at again every waitsEvery.
const (
	waitsAfter = 5 * time.Second
	waitsEvery = 15 * time.Second
)

// reportWaits says for whom a runner's sessions wait, until it is stopped.
func reportWaits(ctx context.Context, s Spec, to target, after, every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	w := waits{spec: s, to: to}
	var looking sync.WaitGroup
	looking.Go(func() {
		defer w.hangUp(ctx)
		timer := time.NewTimer(after)
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
				w.look(ctx)
				timer.Reset(every)
			}
		}
	})
	return func() {
		cancel()
		looking.Wait()
	}
}

// waits are what a runner's sessions wait for.
type waits struct {
	spec Spec
	to   target
	conn *pgx.Conn // nil until it is needed
	said string
}

const waitsSQL = `
SELECT coalesce(string_agg(DISTINCT format('session %s (%s of %s), %s since %s', b.pid, coalesce(nullif(b.application_name, ''), 'no name'), b.usename, b.state,
  coalesce(b.xact_start, b.state_change)::timestamptz(0)), '; '), '')
FROM pg_catalog.pg_stat_activity a
CROSS JOIN LATERAL unnest(pg_catalog.pg_blocking_pids(a.pid)) blocking (pid)
JOIN pg_catalog.pg_stat_activity b ON b.pid = blocking.pid
WHERE a.datname = current_database() AND a.application_name = $1 AND a.wait_event_type = 'Lock'`

// look says who is in the way, when that is somebody else than before. Its own failures are
// nothing to the run.
func (w *waits) look(ctx context.Context) {
	if w.conn == nil {
		conn, err := w.connect(ctx)
		if err != nil {
			return
		}
		w.conn = conn
	}
	var who string
	if err := w.conn.QueryRow(ctx, waitsSQL, control.Once, applicationName(w.spec.Database)).Scan(&who); err != nil {
		w.hangUp(ctx)
		return
	}
	if who != w.said && who != "" {
		fprintf(w.to.log, "waiting for a lock of %s\n", who)
	}
	w.said = who
}

// connect opens a session that is none of those that are looked at, nor of those that are ended.
func (w *waits) connect(ctx context.Context) (*pgx.Conn, error) {
	conn, err := w.to.connect(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "SELECT pg_catalog.set_config('application_name', $1, false)", w.spec.application()); err != nil {
		hangUp(ctx, conn)
		return nil, err
	}
	return conn, nil
}

func (w *waits) hangUp(ctx context.Context) {
	if w.conn != nil {
		hangUp(ctx, w.conn)
		w.conn = nil
	}
}
