package control

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Pinned is a migration that has begun with a content of its Work, and is not over.
type Pinned struct {
	Migration string
	Work      string
	Version   int
	Digest    string // empty: the Work was compiled in
}

const pinnedSQL = `
SELECT name, job_signature_name, coalesce(work_version, 0), coalesce(work_digest, '') FROM bbm.batched_background_migrations
WHERE table_oid IS NOT NULL AND status IN ('active', 'running', 'paused', 'failed')
ORDER BY priority, id`

// Pinned returns the migrations that have begun and are not over, in the order of the queue.
func (s Store) Pinned(ctx context.Context, db DB) ([]Pinned, error) {
	rows, err := db.Query(ctx, s.sql(pinnedSQL))
	if err != nil {
		return nil, fmt.Errorf("list the works of migrations: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Pinned])
	if err != nil {
		return nil, fmt.Errorf("list the works of migrations: %w", err)
	}
	return all, nil
}

const approveSQL = `
UPDATE bbm.batched_background_migrations
SET work_digest = nullif($2, ''), status_reason = CASE WHEN status IN ('active', 'running') THEN NULL ELSE status_reason END
WHERE job_signature_name = $1 AND table_oid IS NOT NULL AND status IN ('active', 'running', 'paused', 'failed')
  AND work_digest IS DISTINCT FROM nullif($2, '')
RETURNING name`

// Approve lets the migrations of a Work that have begun with another content of
// it go on with this one, and wakes the executors. digest is empty for a Work
// that is compiled in. It returns the names of the migrations.
func (s Store) Approve(ctx context.Context, db DB, work, digest string) ([]string, error) {
	rows, err := db.Query(ctx, s.sql(approveSQL), work, digest)
	if err != nil {
		return nil, fmt.Errorf("approve %s: %w", work, err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("approve %s: %w", work, err)
	}
	if len(names) == 0 {
		return nil, nil
	}
	return names, s.Wake(ctx, db)
}
