package control

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Mark is that somebody marked the database as production.
type Mark struct {
	Note string    `json:"note"` // may be empty
	Who  string    `json:"who"`
	At   time.Time `json:"at"`
}

// Production returns the mark of a production database, or nil, and whether a run of the
// schema seems to be running.
func (s Store) Production(ctx context.Context, db DB) (mark *Mark, running bool, err error) {
	var who *string
	var at *time.Time
	var note string
	err = db.QueryRow(ctx, s.sql(`SELECT EXISTS (SELECT FROM bbm.runs WHERE outcome = 'running'), coalesce(s.note, ''), s.who, s.set_at
		FROM (SELECT 1) one LEFT JOIN bbm.settings s ON s.name = 'production' AND s.value = 'true'`), Once).Scan(&running, &note, &who, &at)
	if err != nil {
		return nil, false, fmt.Errorf("read the production mark: %w", err)
	}
	if who != nil && at != nil {
		mark = &Mark{Note: note, Who: *who, At: *at}
	}
	return mark, running, nil
}

// MarkProduction marks the database as production: it is never recreated.
func (s Store) MarkProduction(ctx context.Context, db DB, note string) error {
	if _, err := db.Exec(ctx, s.sql("SELECT bbm.mark_production(nullif($1, ''))"), note); err != nil {
		return fmt.Errorf("mark as production: %w", err)
	}
	return nil
}

// UnmarkProduction takes the mark away.
func (s Store) UnmarkProduction(ctx context.Context, db DB) error {
	if _, err := db.Exec(ctx, s.sql("SELECT bbm.unmark_production()")); err != nil {
		return fmt.Errorf("unmark as production: %w", err)
	}
	return nil
}

// TokenConsumed reports whether a value of force_recreate was acted upon before.
func (s Store) TokenConsumed(ctx context.Context, db DB, token string) (bool, error) {
	var consumed bool
	err := db.QueryRow(ctx, s.sql("SELECT EXISTS (SELECT FROM bbm.force_recreate_tokens WHERE token = $1)"), token).Scan(&consumed)
	if err != nil {
		return false, fmt.Errorf("look up a token of force_recreate: %w", err)
	}
	return consumed, nil
}

// ConsumeToken remembers that a value of force_recreate is acted upon. It
// reports false when it was before.
func (s Store) ConsumeToken(ctx context.Context, db DB, token string, run int64, host string) (bool, error) {
	tag, err := db.Exec(ctx, s.sql("INSERT INTO bbm.force_recreate_tokens (token, run_id, host) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"), token, run, host)
	if err != nil {
		return false, fmt.Errorf("consume a token of force_recreate: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// ReleaseToken forgets that a value of force_recreate was acted upon, for
// values such as "true" that count anew each time they appear.
func (s Store) ReleaseToken(ctx context.Context, db DB, token string) error {
	if _, err := db.Exec(ctx, s.sql("DELETE FROM bbm.force_recreate_tokens WHERE token = $1"), token); err != nil {
		return fmt.Errorf("release a token of force_recreate: %w", err)
	}
	return nil
}

// AppliedFile is what the file of an applied schema migration was.
type AppliedFile struct {
	Version    string
	File       string
	Checksum   string    // sha256, hex
	RecordedAt time.Time // set by the database
}

// Applied returns what is recorded of a tool's applied files, by version.
func (s Store) Applied(ctx context.Context, db DB, tool string) (map[string]AppliedFile, error) {
	rows, err := db.Query(ctx, s.sql("SELECT version, file, checksum, recorded_at FROM bbm.applied WHERE tool = $1"), Once, tool)
	if err != nil {
		return nil, fmt.Errorf("read checksums: %w", err)
	}
	files, err := pgx.CollectRows(rows, pgx.RowToStructByPos[AppliedFile])
	if err != nil {
		return nil, fmt.Errorf("read checksums: %w", err)
	}
	applied := make(map[string]AppliedFile, len(files))
	for _, f := range files {
		applied[f.Version] = f
	}
	return applied, nil
}

const recordAppliedSQL = `INSERT INTO bbm.applied (tool, version, file, checksum, run_id)
SELECT $1, f.version, f.file, f.checksum, nullif($2, 0) FROM unnest($3::text[], $4::text[], $5::text[]) f (version, file, checksum)
ON CONFLICT (tool, version) DO UPDATE SET file = excluded.file, checksum = excluded.checksum, run_id = excluded.run_id, recorded_at = clock_timestamp()
WHERE excluded.run_id IS NOT NULL`

func recordAppliedArgs(tool string, run int64, files []AppliedFile) []any {
	var versions, names, sums []string
	for _, f := range files {
		versions, names, sums = append(versions, f.Version), append(names, f.File), append(sums, f.Checksum)
	}
	return []any{tool, run, versions, names, sums}
}

// RecordApplied records what the files of applied schema migrations are. run is the
// run that applied them, or 0: others did, and what is recorded already stays.
func (s Store) RecordApplied(ctx context.Context, db DB, tool string, run int64, files []AppliedFile) error {
	if len(files) == 0 {
		return nil
	}
	if _, err := db.Exec(ctx, s.sql(recordAppliedSQL), recordAppliedArgs(tool, run, files)...); err != nil {
		return fmt.Errorf("record checksums: %w", err)
	}
	return nil
}

// ForgetAllApplied forgets the checksums of all tools' files.
func (s Store) ForgetAllApplied(ctx context.Context, db DB) error {
	if _, err := db.Exec(ctx, s.sql("DELETE FROM bbm.applied")); err != nil {
		return fmt.Errorf("forget checksums: %w", err)
	}
	return nil
}

const forgetAppliedSQL = "DELETE FROM bbm.applied WHERE tool = $1 AND ($2::text[] IS NULL OR version = ANY ($2))"

// ForgetApplied forgets the checksums of a tool's files: of those versions, or of
// all where none are given.
func (s Store) ForgetApplied(ctx context.Context, db DB, tool string, versions ...string) error {
	if _, err := db.Exec(ctx, s.sql(forgetAppliedSQL), tool, versions); err != nil {
		return fmt.Errorf("forget checksums: %w", err)
	}
	return nil
}
