package control

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Once sends a statement in one round trip, as the first argument of a query
// that a session runs only once: preparing it first would take two.
const Once = pgx.QueryExecModeExec

// TakeEpoch gives conn's session a new owner epoch and the advisory lock that
// says it lives: as long as any session holds it, nobody takes its jobs over.
// An epoch whose exclusive lock cannot be had belongs to somebody else, bbmd or not,
// and is passed over.
func (s Store) TakeEpoch(ctx context.Context, conn *pgx.Conn) (int32, error) {
	const tries = 100
	for range tries {
		var epoch int32
		if err := conn.QueryRow(ctx, s.sql("SELECT nextval('bbm.owner_epoch')::int"), Once).Scan(&epoch); err != nil {
			return 0, fmt.Errorf("take an owner epoch: %w", err)
		}
		var free bool
		err := conn.QueryRow(ctx, s.sql(`SELECT pg_try_advisory_lock(7701, $1) AND NOT EXISTS (
			SELECT FROM bbm.batched_background_migrations m CROSS JOIN `+openJobs+` j WHERE m.status = 'running' AND j.owner = $1 AND j.status = 'running')`), Once, epoch).Scan(&free)
		if err != nil {
			return 0, fmt.Errorf("take an owner epoch: %w", err)
		}
		if !free {
			continue // the session ends with the lock, if it was had, still held: harmless
		}
		var shared, released bool
		err = conn.QueryRow(ctx, "SELECT pg_try_advisory_lock_shared(7701, $1), pg_advisory_unlock(7701, $1)", Once, epoch).Scan(&shared, &released)
		if err != nil {
			return 0, fmt.Errorf("take an owner epoch: %w", err)
		}
		if shared && released {
			return epoch, nil
		}
	}
	return 0, fmt.Errorf("take an owner epoch: the advisory locks (%d, *) of %d epochs are held by others; does an application use the same keys?", lockOwner, tries)
}

// ShareEpoch makes conn another session of the owner.
func (s Store) ShareEpoch(ctx context.Context, conn *pgx.Conn, epoch int32) (bool, error) {
	var ok bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock_shared(7701, $1)", Once, epoch).Scan(&ok); err != nil {
		return false, fmt.Errorf("share owner epoch %d: %w", epoch, err)
	}
	return ok, nil
}

// HoldsEpoch looks, in a statement of its own, whether the server still sees the lock under
// this session's backend. A transaction pooler makes it false.
func (s Store) HoldsEpoch(ctx context.Context, conn *pgx.Conn, epoch int32) (bool, error) {
	var ok bool
	err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND classid = 7701 AND objid = $1::int::oid
		AND pid = pg_backend_pid() AND granted)`, Once, epoch).Scan(&ok)
	if err != nil {
		return false, fmt.Errorf("check owner epoch %d: %w", epoch, err)
	}
	return ok, nil
}

// slotsPerMigration is how many slot locks the key space has room for: the
// upper bound of parallelism.
const slotsPerMigration = 64

// TakeSlot takes the lowest free of the migration's places for workers, for as long as
// conn's session lives, and returns its number. It reports false when all are taken.
func (s Store) TakeSlot(ctx context.Context, conn *pgx.Conn, migration, parallelism int32) (slot int32, ok bool, err error) {
	for slot := range min(parallelism, slotsPerMigration) {
		if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1::int, $2::int)", Once, lockSlot, migration*slotsPerMigration+slot).Scan(&ok); err != nil {
			return 0, false, fmt.Errorf("take a worker's slot: %w", err)
		}
		if ok {
			return slot, true, nil
		}
	}
	return 0, false, nil
}

// ReleaseLocks gives up the session's epoch and slot at once, without waiting for
// the server to notice that the session has ended.
func (s Store) ReleaseLocks(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_unlock_all()", Once); err != nil {
		return fmt.Errorf("release locks: %w", err)
	}
	return nil
}

const takeOverSQL = `
UPDATE bbm.batched_background_migration_jobs
SET status = 'pending', owner = NULL, crashes = crashes + careful::int,
  next_attempt_at = clock_timestamp() + CASE WHEN careful THEN interval '1 second' * 2 ^ least(crashes, 8) ELSE interval '0' END,
  error_message = CASE WHEN careful THEN format('the worker''s session ended during attempt %s (crash %s)', attempts, crashes + 1) ELSE error_message END
WHERE id IN (SELECT id FROM bbm.batched_background_migration_jobs
  WHERE id = ANY (ARRAY(SELECT j.id FROM ` + openJobsOf + ` j WHERE j.status = 'running' AND j.owner = $2))
    AND owner = $2 AND status = 'running' FOR UPDATE SKIP LOCKED)`

// TakeOver makes the running jobs of a dead owner pending again and returns
// how many, or alive when the owner's lock is held. The two statements have
// snapshots of their own, so that the second sees all that the owner did.
func (s Store) TakeOver(ctx context.Context, db TxDB, migration, owner int32) (jobs int64, alive bool, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		var dead bool
		if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock(7701, $1)", owner).Scan(&dead); err != nil {
			return err
		}
		if !dead {
			alive = true
			return nil
		}
		tag, err := tx.Exec(ctx, s.sql(takeOverSQL), migration, owner)
		jobs = tag.RowsAffected()
		return err
	})
	if err != nil {
		return 0, false, fmt.Errorf("take over the jobs of owner %d: %w", owner, err)
	}
	return jobs, alive, nil
}
