package control

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// AuditEntry is something that was done to a migration: a change of its status,
// or of a setting.
type AuditEntry struct {
	At          time.Time `json:"at"`
	Migration   string    `json:"migration"`
	What        string    `json:"what"` // "status", a column of the migration's row, or "finalize"
	From        *string   `json:"from"` // nil: the migration was enqueued, or the setting was the default
	To          *string   `json:"to"`   // nil: the default
	Reason      *string   `json:"reason"`
	Who         string    `json:"who"`         // the user of the session
	Application string    `json:"application"` // its application_name, which says who it was behind the session

	id int64
}

// AuditCursor is a place in the audit: behind these rows of bbm.transitions and
// of bbm.changes. The zero value is its beginning.
type AuditCursor struct {
	Transition, Change int64
}

const auditSQL = `SELECT at, name, 'status', from_status, to_status, reason, who, application, id FROM bbm.transitions
WHERE ($1::int = 0 OR batched_background_migration_id = $1) AND ($2::bigint = 0 OR id < $2) ORDER BY id DESC LIMIT $3`

const auditChangesSQL = `SELECT at, name, what, from_value, to_value, NULL::text, who, application, id FROM bbm.changes
WHERE ($1::int = 0 OR batched_background_migration_id = $1) AND ($2::bigint = 0 OR id < $2) ORDER BY id DESC LIMIT $3`

// Audit returns at most limit entries of the audit, the latest first, of one
// migration or (0) of all, from behind the cursor; and the cursor behind them.
func (s Store) Audit(ctx context.Context, db DB, migration int32, from AuditCursor, limit int) ([]AuditEntry, AuditCursor, error) {
	transitions, err := s.auditPart(ctx, db, auditSQL, migration, from.Transition, limit)
	if err != nil {
		return nil, from, err
	}
	changes, err := s.auditPart(ctx, db, auditChangesSQL, migration, from.Change, limit)
	if err != nil {
		return nil, from, err
	}
	merged := make([]AuditEntry, 0, limit)
	for len(merged) < limit && len(transitions)+len(changes) > 0 {
		if len(changes) == 0 || len(transitions) > 0 && transitions[0].At.After(changes[0].At) {
			merged, from.Transition, transitions = append(merged, transitions[0]), transitions[0].id, transitions[1:]
		} else {
			merged, from.Change, changes = append(merged, changes[0]), changes[0].id, changes[1:]
		}
	}
	return merged, from, nil
}

func (s Store) auditPart(ctx context.Context, db DB, sql string, migration int32, before int64, limit int) ([]AuditEntry, error) {
	rows, err := db.Query(ctx, s.sql(sql), migration, before, limit)
	if err != nil {
		return nil, fmt.Errorf("read the audit: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e AuditEntry, err error) {
		err = row.Scan(&e.At, &e.Migration, &e.What, &e.From, &e.To, &e.Reason, &e.Who, &e.Application, &e.id)
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the audit: %w", err)
	}
	return all, nil
}

// Record writes into the audit that somebody asked for something that changes
// neither a status nor a setting. The error wraps [ErrNoMigration].
func (s Store) Record(ctx context.Context, db DB, migration, what string) error {
	tag, err := db.Exec(ctx, s.sql(`INSERT INTO bbm.changes (batched_background_migration_id, name, what)
		SELECT id, name, $2 FROM bbm.batched_background_migrations WHERE name = $1`), migration, what)
	switch {
	case err != nil:
		return fmt.Errorf("record that %s was asked for: %w", what, err)
	case tag.RowsAffected() == 0:
		return fmt.Errorf("%w named %q", ErrNoMigration, migration)
	default:
		return nil
	}
}

// maxApplication is how much of an application_name PostgreSQL keeps.
const maxApplication = 63

// As makes a transaction's writes appear in the audit under that application_name.
func (s Store) As(ctx context.Context, tx pgx.Tx, application string) error {
	if len(application) > maxApplication {
		application = application[:maxApplication]
	}
	if _, err := tx.Exec(ctx, "SELECT set_config('application_name', $1, true)", application); err != nil {
		return fmt.Errorf("set application_name: %w", err)
	}
	return nil
}

// QuarantinedRow is a row that no retry could process.
type QuarantinedRow struct {
	ID       int64     `json:"id"`
	Job      int64     `json:"job_id"`
	Key      string    `json:"key"`
	Attempts int32     `json:"attempts"`
	Error    *string   `json:"error_message"`
	SQLState *string   `json:"error_sqlstate"`
	At       time.Time `json:"created_at"`
}

// QuarantinePage returns at most limit rows that were set aside, in the order in which
// they were, of those behind the one with the id after.
func (s Store) QuarantinePage(ctx context.Context, db DB, migration int32, after int64, limit int) ([]QuarantinedRow, error) {
	rows, err := db.Query(ctx, s.sql(`SELECT id, batched_background_migration_job_id, key, attempts, error_message, error_sqlstate, created_at
		FROM bbm.quarantine WHERE batched_background_migration_id = $1 AND id > $2 ORDER BY id LIMIT $3`), migration, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read the quarantine: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[QuarantinedRow])
	if err != nil {
		return nil, fmt.Errorf("read the quarantine: %w", err)
	}
	return all, nil
}

// RetryQuarantined tries rows that were set aside again: those with the keys, or
// (nil) all of them. It returns how many. The error is a [RefusalError] where there is
// no migration of that name.
func (s Store) RetryQuarantined(ctx context.Context, db DB, migration string, keys []string) (int64, error) {
	var retried int64
	if err := db.QueryRow(ctx, s.sql("SELECT bbm.retry_quarantined($1, $2)"), migration, keys).Scan(&retried); err != nil {
		return 0, fmt.Errorf("retry the rows in quarantine of %q: %w", migration, refusal(err))
	}
	return retried, nil
}
