package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// TrySchemaLock takes the advisory lock of whoever brings the database's schema
// up, for as long as conn's session lives or until [Store.ReleaseSchemaLock]. It reports
// false when another session holds it. A session may take it once.
func (s Store) TrySchemaLock(ctx context.Context, conn *pgx.Conn) (bool, error) {
	var locked bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1::int, 0)", Once, lockSchema).Scan(&locked); err != nil {
		return false, fmt.Errorf("take the schema's lock: %w", err)
	}
	return locked, nil
}

// HoldsSchemaLock looks, in a statement of its own, whether the server sees the
// lock under conn's session. A transaction pooler makes it false.
func (s Store) HoldsSchemaLock(ctx context.Context, conn *pgx.Conn) (bool, error) {
	var held bool
	err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND classid = $1::int::oid AND objid = 0
		AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) AND pid = pg_backend_pid() AND granted)`, Once, lockSchema).Scan(&held)
	if err != nil {
		return false, fmt.Errorf("check the schema's lock: %w", err)
	}
	return held, nil
}

// ReleaseSchemaLock gives the lock up, and reports whether the session had it.
func (s Store) ReleaseSchemaLock(ctx context.Context, conn *pgx.Conn) (bool, error) {
	var held bool
	if err := conn.QueryRow(ctx, "SELECT pg_advisory_unlock($1::int, 0)", Once, lockSchema).Scan(&held); err != nil {
		return false, fmt.Errorf("release the schema's lock: %w", err)
	}
	return held, nil
}

// LockHolder is the session that holds the schema's lock.
type LockHolder struct {
	PID         int32
	Application string
	User        string
	Address     string    // where its client is; empty: on the server's own machine
	Since       time.Time // when the session began; when its run began, once there is one
	Run         int64     // its run in bbm.runs, or 0
	Action      string    // of the run
	Host        string    // of the run
}

const lockHolderSQL = `
SELECT a.pid, coalesce(a.application_name, ''), coalesce(a.usename, ''), coalesce(host(a.client_addr), ''), coalesce(a.backend_start, clock_timestamp())
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.classid = $1::int::oid AND l.objid = 0 AND l.granted
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())`

// SchemaLockHolder returns who holds the schema's lock, or nil when nobody does.
func (s Store) SchemaLockHolder(ctx context.Context, db DB) (*LockHolder, error) {
	var h LockHolder
	err := db.QueryRow(ctx, lockHolderSQL, lockSchema).Scan(&h.PID, &h.Application, &h.User, &h.Address, &h.Since)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // nobody holds it, and that is no error
	}
	if err != nil {
		return nil, fmt.Errorf("look who holds the schema's lock: %w", err)
	}
	var recorded bool
	if err := db.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", s.sql("bbm.runs")).Scan(&recorded); err != nil || !recorded {
		return &h, err
	}
	err = db.QueryRow(ctx, s.sql("SELECT id, action, host, started_at FROM bbm.runs WHERE outcome = 'running' AND backend_pid = $1 ORDER BY id DESC LIMIT 1"), h.PID).
		Scan(&h.Run, &h.Action, &h.Host, &h.Since)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("look who holds the schema's lock: %w", err)
	}
	return &h, nil
}

// CancelAll cancels every migration that is not over, and returns their names.
func (s Store) CancelAll(ctx context.Context, db DB, reason string) ([]string, error) {
	rows, err := db.Query(ctx, s.sql(`UPDATE bbm.batched_background_migrations SET status = 'cancelled', status_reason = $1
		WHERE status IN ('active', 'running', 'paused', 'failed') RETURNING name`), reason)
	if err != nil {
		return nil, fmt.Errorf("cancel all migrations: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("cancel all migrations: %w", err)
	}
	return names, nil
}

// LiveOwner is a worker that has running jobs and whose session lives.
type LiveOwner struct {
	Owner       int32
	Jobs        int64
	PID         int32  // one of its sessions; 0: it cannot be seen
	Application string // of that session
}

const liveOwnersSQL = `
SELECT o.owner, o.jobs, coalesce(a.pid, 0), coalesce(a.application_name, '')
FROM (SELECT owner, count(*) AS jobs FROM bbm.batched_background_migration_jobs WHERE status = 'running' GROUP BY owner) o
LEFT JOIN LATERAL (SELECT a.pid, a.application_name FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
  WHERE l.locktype = 'advisory' AND l.classid = 7701 AND l.objid = o.owner::oid AND l.granted
    AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) LIMIT 1) a ON true
WHERE NOT pg_try_advisory_xact_lock(7701, o.owner)
ORDER BY o.owner`

// LiveOwners returns the workers that are at work on this database: those with
// running jobs whose owner's lock is held. Jobs of the dead do not count.
func (s Store) LiveOwners(ctx context.Context, db DB) ([]LiveOwner, error) {
	rows, err := db.Query(ctx, s.sql(liveOwnersSQL))
	if err != nil {
		return nil, fmt.Errorf("look who has running jobs: %w", err)
	}
	owners, err := pgx.CollectRows(rows, pgx.RowToStructByPos[LiveOwner])
	if err != nil {
		return nil, fmt.Errorf("look who has running jobs: %w", err)
	}
	return owners, nil
}

// LockMigrations keeps everybody from enqueuing and starting migrations until tx ends.
func (s Store) LockMigrations(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, s.sql("LOCK TABLE bbm.batched_background_migrations IN SHARE ROW EXCLUSIVE MODE")); err != nil {
		return fmt.Errorf("lock the migrations: %w", err)
	}
	return nil
}
