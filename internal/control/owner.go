package control

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Once sends a statement in one round trip, as the first argument of a query
// that a session runs only once: preparing it first would take two.
const Once = pgx.QueryExecModeExec

// runningOfSQL are the jobs that are running under an epoch.
const runningOfSQL = `SELECT FROM bbm.batched_background_migrations m CROSS JOIN ` + openJobs + ` j
	WHERE m.status = 'running' AND j.owner = $1::int AND j.status = 'running'`

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
		err := conn.QueryRow(ctx, s.sql("SELECT pg_try_advisory_lock(7701, $1) AND NOT EXISTS ("+runningOfSQL+")"), Once, epoch).Scan(&free)
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

// SeatSQL gives a session the lowest free of the migration's places for workers, and after that an owner
// epoch with its exclusive lock, in one statement: one row of (whether the session's backend is the one that is meant, as
// it may not be behind a transaction pooler; slot, NULL where all places are taken; epoch; whether its lock was
// free). Parameters: migration, parallelism, the backend's process number.
// [Store.KeepEpochSQL] goes after it.
func (s Store) SeatSQL() string {
	return s.sql(`
WITH place AS MATERIALIZED (
  SELECT slot FROM generate_series(0, least($2::int, 64) - 1) slot
  WHERE CASE WHEN pg_backend_pid() = $3::int THEN pg_try_advisory_lock(7703, $1::int * 64 + slot) END LIMIT 1
), drawn AS MATERIALIZED (
  SELECT slot, nextval('bbm.owner_epoch')::int AS epoch FROM place
)
SELECT pg_backend_pid() = $3::int, slot, epoch, CASE WHEN pg_try_advisory_lock(7701, epoch) THEN set_config('bbmd.epoch', epoch::text, false) END IS NOT NULL
FROM (VALUES (0)) one LEFT JOIN drawn ON true`)
}

// KeepEpochSQL turns the exclusive lock of the epoch that the session has just got into the shared one that
// it keeps: one row that says whether the server did. It goes in a transaction of its own: that the lock is
// there to be released proves that the session is the same as before, which it is not behind a transaction pooler.
func (s Store) KeepEpochSQL() string {
	return `SELECT coalesce(pg_try_advisory_lock_shared(7701, epoch) AND pg_advisory_unlock(7701, epoch), false)
FROM (SELECT nullif(current_setting('bbmd.epoch', true), '')::int AS epoch OFFSET 0) e`
}

// ShareEpochSQL makes a session another one of the owner: one row that says whether it is.
// Parameters: epoch, the backend's process number.
func (s Store) ShareEpochSQL() string {
	return "SELECT coalesce(CASE WHEN pg_backend_pid() = $2::int THEN pg_try_advisory_lock_shared(7701, $1::int) END, false)"
}

// EpochInUse reports whether jobs are running under an epoch: then it was somebody else's once, and the sequence of
// epochs has begun anew since. To be asked while the epoch's lock is held, before anything is claimed.
func (s Store) EpochInUse(ctx context.Context, db DB, epoch int32) (bool, error) {
	var used bool
	err := db.QueryRow(ctx, s.sql("SELECT EXISTS ("+runningOfSQL+")"), epoch).Scan(&used)
	if err != nil {
		return false, fmt.Errorf("check owner epoch %d: %w", epoch, err)
	}
	return used, nil
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

// eachAsOfNow runs f in a transaction whose statements have snapshots of their own, whatever the database's default is.
// A transaction of the caller's stays as it is.
func eachAsOfNow(ctx context.Context, db TxDB, f func(pgx.Tx) error) error {
	type beginner interface {
		BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
	}
	if b, ok := db.(beginner); ok {
		return pgx.BeginTxFunc(ctx, b, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, f)
	}
	return pgx.BeginFunc(ctx, db, f)
}

// TakeOver makes the running jobs of a dead owner pending again and returns
// how many, or alive when the owner's lock is held. The two statements have
// snapshots of their own, so that the second sees all that the owner did.
func (s Store) TakeOver(ctx context.Context, db TxDB, migration, owner int32) (jobs int64, alive bool, err error) {
	err = eachAsOfNow(ctx, db, func(tx pgx.Tx) error {
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

// nobodyAtSQL takes the lock of claims, unless there is one under way, and is true if no worker has a place. The parameter is the migration.
const nobodyAtSQL = `SELECT pg_try_advisory_xact_lock(7702, $1::int) AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks
	WHERE locktype = 'advisory' AND classid = 7703 AND objid::bigint / 64 = $1::int AND objsubid = 2 AND granted
	  AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))`

const settleSQL = `UPDATE bbm.batched_background_migrations SET unsettled = false
	WHERE id = $1::int AND NOT EXISTS (SELECT FROM ` + openJobsOf + ` j WHERE j.status = 'running')`

// Settle takes note that no job of a migration that was stopped is running any more: no scan looks at it until it goes on and is
// stopped again. It reports false, and changes nothing, while one is, or one could yet be claimed by somebody who has not heard of it.
// The statements have snapshots of their own. From the first on the status stays as it is; the second finds no claim under way, which
// may have begun before the migration was stopped, and whoever claims later sees that it was; so the third sees all that there will be.
func (s Store) Settle(ctx context.Context, db TxDB, migration int32) (settled bool, err error) {
	err = eachAsOfNow(ctx, db, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, s.sql(`SELECT FROM bbm.batched_background_migrations
			WHERE id = $1 AND unsettled AND status NOT IN ('active', 'running') FOR NO KEY UPDATE SKIP LOCKED`), migration)
		if err != nil || tag.RowsAffected() == 0 { // somebody is changing it, or has: the next scan tells
			return err
		}
		var nobody bool
		if err := tx.QueryRow(ctx, nobodyAtSQL, migration).Scan(&nobody); err != nil || !nobody {
			return err
		}
		tag, err = tx.Exec(ctx, s.sql(settleSQL), migration)
		settled = tag.RowsAffected() > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("look whether jobs of migration %d are running: %w", migration, err)
	}
	return settled, nil
}
