package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const claimNullSQL = `
INSERT INTO bbm.batched_background_migration_jobs (batched_background_migration_id, ordinal, max_value, batch_size, owner)
SELECT m.id, next.ordinal, next.ordinal::text, $3, $2
FROM bbm.batched_background_migrations m CROSS JOIN LATERAL (
  SELECT coalesce(max(ordinal), 0) + 1 AS ordinal FROM (
    SELECT ordinal FROM bbm.batched_background_migration_jobs
    WHERE batched_background_migration_id = m.id AND ordinal IS NOT NULL ORDER BY ordinal DESC LIMIT 1) last) next
WHERE m.id = $1 AND m.status = 'running' AND m.max_value IS NULL AND to_regclass(m.table_name)::oid = m.table_oid
  AND NOT EXISTS (SELECT FROM bbm.batched_background_migration_jobs WHERE batched_background_migration_id = m.id AND status = 'pending')
RETURNING id, max_value`

// ClaimNull claims the next batch of a migration with the strategy "null": a
// place in its chain, without a range. It returns nil when the migration does not run, has no rows
// left, or has a failed batch that comes first: a new one would meet the same rows.
func (s Store) ClaimNull(ctx context.Context, conn *pgx.Conn, migration, epoch, size int32) (*Job, error) {
	j := Job{BatchSize: size}
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var alive bool
		if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_lock_shared(7701, $2) FROM (SELECT pg_advisory_xact_lock(7702, $1), set_config('synchronous_commit', 'on', true)) l",
			migration, epoch).Scan(&alive); err != nil {
			return err
		}
		if !alive {
			return pgx.ErrNoRows
		}
		return tx.QueryRow(ctx, s.sql(claimNullSQL), migration, epoch, size).Scan(&j.ID, &j.End)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // nothing to claim is no error
	}
	if err != nil {
		return nil, fmt.Errorf("claim a batch: %w", err)
	}
	return &j, nil
}

// EndNull ends the chain of a migration with the strategy "null", when no row
// is left: no batch is claimed after that.
func (s Store) EndNull(ctx context.Context, db TxDB, migration int32) error {
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(7702, $1)", migration); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, s.sql(`UPDATE bbm.batched_background_migrations m SET max_value = (
			SELECT max_value FROM bbm.batched_background_migration_jobs
			WHERE batched_background_migration_id = m.id AND ordinal IS NOT NULL ORDER BY ordinal DESC LIMIT 1)
			WHERE id = $1 AND max_value IS NULL`), migration)
		return err
	})
	if err != nil {
		return fmt.Errorf("end migration %d: %w", migration, err)
	}
	return nil
}
