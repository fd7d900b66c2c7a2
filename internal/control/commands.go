package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// RefusalError is what the control schema says to a request that it does not
// accept: nothing was changed, and the same request is refused again.
type RefusalError struct {
	Message  string // what is wrong
	Hint     string // the way out, as one writes it in SQL; may be empty
	SQLState string // one of the Refused constants, or another one of PostgreSQL's
	err      error
}

// The SQLSTATEs of the refusals that callers tell apart.
const (
	RefusedName      = "23505" // the name is taken
	RefusedTable     = "42P01" // there is no such table
	RefusedColumn    = "42703" // the table has no such column
	RefusedValue     = "23514" // a value is out of its bounds
	RefusedUnknown   = "P0002" // there is no migration of that name
	RefusedStatus    = "55000" // not from the status that it has
	RefusedRight     = "42501" // this role may not
	refusedParameter = "22023" // what is asked for makes no sense
	refusedKeySyntax = "22P02"
)

// Error returns what is wrong and the way out.
func (r *RefusalError) Error() string {
	if r.Hint == "" {
		return r.Message
	}
	return r.Message + ": " + strings.TrimSuffix(r.Hint, ".")
}

// Unwrap returns PostgreSQL's error.
func (r *RefusalError) Unwrap() error { return r.err }

// refusal makes a RefusalError of what the control schema's functions, triggers and
// constraints raise, and leaves other errors as they are.
func refusal(err error) error {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	r := &RefusalError{Message: refused.Message, Hint: refused.Hint, SQLState: refused.Code, err: err}
	switch refused.Code {
	case RefusedUnknown, RefusedStatus, RefusedTable, RefusedColumn, RefusedRight, refusedKeySyntax, refusedParameter:
	case RefusedName:
		if refused.ConstraintName != "" { // somebody else took it just now
			r.Message = "there is a migration of that name already"
		}
	case RefusedValue:
		if refused.ConstraintName != "" {
			r.Message = demand(refused.ConstraintName)
		}
	default:
		return err
	}
	return r
}

// demand makes a sentence of a constraint's name, which says what holds:
// "batch_size_is_between_1_and_10" becomes "batch size has to be between 1 and 10".
func demand(constraint string) string {
	text := strings.ReplaceAll(constraint, "_", " ")
	for _, verb := range []struct{ holds, demanded string }{{" is ", " has to be "}, {" are ", " have to be "}, {" has ", " has to have "}} {
		if before, after, ok := strings.Cut(text, verb.holds); ok {
			return before + verb.demanded + after
		}
	}
	return text
}

// Request is a migration to be enqueued. Work and Table are required.
type Request struct {
	Work        string
	Table       string          // as one writes it in SQL
	Arguments   json.RawMessage // an object; nil: {}
	Name        string          // empty: the Work's name, "_", and the table's
	Columns     string          // key columns, separated by commas; empty: the primary key
	BatchSize   *int32          // nil: 1000
	Parallelism *int32          // nil: 1
	Priority    int32           // lower runs first
	DependsOn   []string        // names of migrations that have to finish before
	MaxAttempts *int32          // nil: as the daemon is configured
	Min, Max    *string         // keys, inclusive; nil: the smallest and the greatest at the start
	Paused      bool            // it waits to be resumed

	MinBatchSize   *int32         // nil: 10
	MaxBatchSize   *int32         // nil: 100000
	TargetDuration *time.Duration // of a batch; nil: as the daemon is configured; 0: the batch size stays as it is
	Pause          time.Duration  // between the batches of a worker
	MaxQuarantined int32          // rows that may be set aside because they fail alone
	Strategy       string         // "keyset" or "null"; empty: "keyset"
}

const enqueueSQL = `SELECT bbm.enqueue(work => $1, table_name => $2, arguments => $3, name => nullif($4, ''), column_name => nullif($5, ''),
	batch_size => $6, parallelism => $7, priority => $8, depends_on => $9, max_attempts => $10, min_value => $11, max_value => $12, paused => $13,
	min_batch_size => $14, max_batch_size => $15, target_duration => $16, pause => $17, max_quarantined => $18,
	batching_strategy => coalesce(nullif($19, ''), 'keyset'))`

// Enqueue adds a migration and returns its name. The error is a [RefusalError] where
// the request is at fault.
func (s Store) Enqueue(ctx context.Context, db DB, r Request) (name string, err error) {
	if err := s.checkRange(ctx, db, r); err != nil {
		return "", err
	}
	arguments := r.Arguments
	if arguments == nil {
		arguments = json.RawMessage("{}")
	}
	err = db.QueryRow(ctx, s.sql(enqueueSQL), r.Work, r.Table, arguments, r.Name, r.Columns, r.BatchSize, r.Parallelism, r.Priority,
		r.DependsOn, r.MaxAttempts, r.Min, r.Max, r.Paused,
		r.MinBatchSize, r.MaxBatchSize, r.TargetDuration, r.Pause, r.MaxQuarantined, r.Strategy).Scan(&name)
	if err != nil {
		return "", fmt.Errorf("enqueue: %w", malformed(r.Table, refusal(err)))
	}
	return name, nil
}

// malformed says of a table's name that the server cannot read what is wrong with it.
func malformed(table string, err error) error {
	const invalidName, syntaxError = "42602", "42601"
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || refused.Code != invalidName && refused.Code != syntaxError {
		return err
	}
	return &RefusalError{
		Message: fmt.Sprintf("table %s is no name of a table (%s)", table, refused.Message), SQLState: refused.Code, err: err,
		Hint: `Write it as in SQL: users, public.users, or "Users" in double quotes where it has capitals.`,
	}
}

// keyTypeSQL returns the type of the column that the batches walk along, and no
// row for a key of several columns, or where there is none: these are looked
// at when the migration starts.
const keyTypeSQL = `
SELECT format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a
LEFT JOIN pg_catalog.pg_index i ON i.indrelid = a.attrelid AND i.indisprimary AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
  AND CASE WHEN $2 = '' THEN i.indrelid IS NOT NULL ELSE a.attname = btrim($2, ' "') END`

// checkRange refuses bounds that are no values of the key, and a first key
// behind the last.
func (s Store) checkRange(ctx context.Context, db DB, r Request) error {
	if r.Min == nil && r.Max == nil {
		return nil
	}
	var keyType *string
	if err := db.QueryRow(ctx, "SELECT ("+keyTypeSQL+")", r.Table, r.Columns).Scan(&keyType); err != nil {
		return fmt.Errorf("look up the type of the key: %w", refusal(err))
	}
	if keyType == nil {
		return nil
	}
	var reversed bool
	err := db.QueryRow(ctx, fmt.Sprintf("SELECT coalesce($1::text::%[1]s > $2::text::%[1]s, false)", *keyType), r.Min, r.Max).Scan(&reversed)
	if err != nil {
		return fmt.Errorf("enqueue: range of keys: %w", refusal(err))
	}
	if reversed {
		return &RefusalError{
			Message:  fmt.Sprintf("the first key, %s, comes after the last, %s", *r.Min, *r.Max),
			Hint:     "exchange them",
			SQLState: RefusedValue,
		}
	}
	return nil
}

// Command is something that people do to a migration.
type Command string

// The commands. Pause and Cancel take a reason.
const (
	Pause  Command = "pause"
	Resume Command = "resume"
	Cancel Command = "cancel"
	Retry  Command = "retry"
)

// call returns the SQL that executes the command; $1 is the name, $2 the reason.
func (c Command) call() string {
	switch c {
	case Pause, Cancel:
		return "bbm." + string(c) + "($1, nullif($2, ''))"
	default:
		return "bbm." + string(c) + "($1)"
	}
}

// Do executes a command on a migration and returns the statuses that it had
// before and has now, which are the same where there was nothing to do. An
// empty reason says who it was; Resume and Retry take none. The error is a
// [RefusalError] where the migration does not allow it, or does not exist.
func (s Store) Do(ctx context.Context, db DB, c Command, name, reason string) (before, after string, err error) {
	args := []any{name, reason}
	if c == Resume || c == Retry {
		args = args[:1]
	}
	// The first column sees what was there before the second is called.
	err = db.QueryRow(ctx, s.sql("SELECT coalesce((SELECT status FROM bbm.batched_background_migrations WHERE name = $1), ''), "+c.call()), args...).Scan(&before, nil)
	if err == nil {
		err = db.QueryRow(ctx, s.sql("SELECT status FROM bbm.batched_background_migrations WHERE name = $1"), name).Scan(&after)
	}
	if err != nil {
		return "", "", fmt.Errorf("%s %q: %w", c, name, refusal(err))
	}
	return before, after, nil
}
