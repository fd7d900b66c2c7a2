package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const passedSQL = `
SELECT m.keys_done + (SELECT coalesce(sum(keys), 0)::bigint FROM bbm.counters WHERE batched_background_migration_id = m.id)
  + (SELECT coalesce(sum(batch_size), 0)::bigint FROM ` + openJobs + ` j),
  (SELECT max_value FROM bbm.batched_background_migration_jobs
   WHERE batched_background_migration_id = m.id AND ordinal IS NOT NULL ORDER BY ordinal DESC LIMIT 1)
FROM bbm.batched_background_migrations m WHERE m.id = $1`

// Passed returns how many keys the batches have that were cut so far, finished or not,
// as they are counted, and the last of these keys; nil: none was cut.
func (s Store) Passed(ctx context.Context, db DB, migration int32) (keys int64, last *string, err error) {
	if err := db.QueryRow(ctx, s.sql(passedSQL), migration).Scan(&keys, &last); err != nil {
		return 0, nil, fmt.Errorf("look up the chain of migration %d: %w", migration, err)
	}
	return keys, last, nil
}

// SetTotal writes how many rows a running migration has in all, as estimated
// now; negative: nobody can know. A difference that nobody would see is not written.
func (s Store) SetTotal(ctx context.Context, db DB, migration int32, rows int64) error {
	_, err := db.Exec(ctx, s.sql(`UPDATE bbm.batched_background_migrations SET total_tuple_count = CASE WHEN $2::bigint >= 0 THEN $2::bigint END
		WHERE id = $1 AND status = 'running' AND (total_tuple_count IS NULL) IS DISTINCT FROM ($2::bigint < 0)
		OR id = $1 AND status = 'running' AND abs(total_tuple_count - $2::bigint) > $2::bigint / 1000`), migration, rows)
	if err != nil {
		return fmt.Errorf("record the rows of migration %d: %w", migration, err)
	}
	return nil
}

// SetSize is [Store.SetTotal] for a migration that has no total yet, together with the
// landmarks of [Store.Landmarks]; nil: no sample was taken.
func (s Store) SetSize(ctx context.Context, db DB, migration int32, rows int64, landmarks []string) error {
	_, err := db.Exec(ctx, s.sql(`UPDATE bbm.batched_background_migrations SET total_tuple_count = $2, landmarks = $3
		WHERE id = $1 AND status = 'running' AND total_tuple_count IS NULL AND landmarks IS NULL`), migration, rows, landmarks)
	if err != nil {
		return fmt.Errorf("record the rows of migration %d: %w", migration, err)
	}
	return nil
}

// Total returns how many rows a migration has in all, as estimated last; negative: nobody knows.
// It reports whether the migration is running.
func (s Store) Total(ctx context.Context, db DB, migration int32) (rows int64, running bool, err error) {
	err = db.QueryRow(ctx, s.sql("SELECT coalesce(total_tuple_count, -1), status = 'running' FROM bbm.batched_background_migrations WHERE id = $1"), migration).Scan(&rows, &running)
	if errors.Is(err, pgx.ErrNoRows) {
		return -1, false, nil // somebody has deleted it
	}
	if err != nil {
		return 0, false, fmt.Errorf("look up the rows of migration %d: %w", migration, err)
	}
	return rows, running, nil
}

// Landmarks returns how many keys of a sample of its rows were recorded of a
// migration, and how many of them meet reached, an SQL condition on l, one of them, and on $2, which
// is key. No landmarks: there is no sample.
func (s Store) Landmarks(ctx context.Context, db DB, migration int32, reached, key string) (all, met int64, err error) {
	err = db.QueryRow(ctx, s.sql(`SELECT coalesce(cardinality(landmarks), 0), (SELECT count(*) FROM unnest(landmarks) l WHERE `+reached+`)
		FROM bbm.batched_background_migrations WHERE id = $1`), migration, key).Scan(&all, &met)
	if err != nil {
		return 0, 0, fmt.Errorf("look up the landmarks of migration %d: %w", migration, err)
	}
	return all, met, nil
}
