package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// KnobsSet are the settings of a migration that may change while it runs, as its row has
// them. Durations are in milliseconds.
type KnobsSet struct {
	BatchSize      int32           `json:"batch_size"` // of the first batches
	MinBatchSize   int32           `json:"min_batch_size"`
	MaxBatchSize   int32           `json:"max_batch_size"`
	TargetMillis   *float64        `json:"target_duration_ms"` // nil: as the daemon is configured
	PauseMillis    float64         `json:"pause_ms"`
	Throttle       json.RawMessage `json:"throttle"` // an object; null: nothing differs from the daemon's
	Parallelism    int32           `json:"parallelism"`
	Priority       int32           `json:"priority"`
	DependsOn      []string        `json:"depends_on"`
	MaxAttempts    *int32          `json:"max_attempts"` // nil: as the daemon is configured
	MaxQuarantined int32           `json:"max_quarantined"`
}

const knobColumns = `batch_size, min_batch_size, max_batch_size, extract(epoch FROM target_duration)::float8 * 1000,
  extract(epoch FROM pause)::float8 * 1000, coalesce(throttle, 'null'), parallelism, priority, depends_on, max_attempts, max_quarantined`

func scanKnobs(row pgx.Row) (k KnobsSet, err error) {
	err = row.Scan(&k.BatchSize, &k.MinBatchSize, &k.MaxBatchSize, &k.TargetMillis, &k.PauseMillis, &k.Throttle,
		&k.Parallelism, &k.Priority, &k.DependsOn, &k.MaxAttempts, &k.MaxQuarantined)
	return k, err
}

// Knobs returns the settings of a migration; the error wraps [ErrNoMigration].
func (s Store) Knobs(ctx context.Context, db DB, migration string) (KnobsSet, error) {
	return knobsOf(migration, db.QueryRow(ctx, s.sql("SELECT "+knobColumns+" FROM bbm.batched_background_migrations WHERE name = $1"), migration))
}

func knobsOf(migration string, row pgx.Row) (KnobsSet, error) {
	knobs, err := scanKnobs(row)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return KnobsSet{}, fmt.Errorf("%w named %q", ErrNoMigration, migration)
	case err != nil:
		return KnobsSet{}, fmt.Errorf("settings of %q: %w", migration, refusal(err))
	default:
		return knobs, nil
	}
}

const setKnobsSQL = `
UPDATE bbm.batched_background_migrations m SET
  batch_size = CASE WHEN c ? 'batch_size' THEN (c->>'batch_size')::int ELSE batch_size END,
  min_batch_size = CASE WHEN c ? 'min_batch_size' THEN (c->>'min_batch_size')::int ELSE min_batch_size END,
  max_batch_size = CASE WHEN c ? 'max_batch_size' THEN (c->>'max_batch_size')::int ELSE max_batch_size END,
  target_duration = CASE WHEN c ? 'target_duration_ms' THEN (c->>'target_duration_ms')::float8 * interval '1 millisecond' ELSE target_duration END,
  pause = CASE WHEN c ? 'pause_ms' THEN (c->>'pause_ms')::float8 * interval '1 millisecond' ELSE pause END,
  throttle = CASE WHEN c ? 'throttle' THEN nullif(c->'throttle', 'null') ELSE throttle END,
  parallelism = CASE WHEN c ? 'parallelism' THEN (c->>'parallelism')::int ELSE parallelism END,
  priority = CASE WHEN c ? 'priority' THEN (c->>'priority')::int ELSE priority END,
  depends_on = CASE WHEN c ? 'depends_on' THEN ARRAY(SELECT jsonb_array_elements_text(c->'depends_on')) ELSE depends_on END,
  max_attempts = CASE WHEN c ? 'max_attempts' THEN (c->>'max_attempts')::int ELSE max_attempts END,
  max_quarantined = CASE WHEN c ? 'max_quarantined' THEN (c->>'max_quarantined')::int ELSE max_quarantined END
FROM (SELECT $2::jsonb AS c) change WHERE m.name = $1 RETURNING ` + knobColumns

// SetKnobs changes the settings of a migration that are named in change, an object
// with some of the names of [KnobsSet], and returns all of them as they are
// now. Null stands for the default, where there is one. The error wraps [ErrNoMigration], or is a
// [RefusalError] where the change is at fault.
func (s Store) SetKnobs(ctx context.Context, db DB, migration string, change json.RawMessage) (KnobsSet, error) {
	if err := checkKnobs(change); err != nil {
		return KnobsSet{}, &RefusalError{Message: err.Error(), Hint: "the names are those that the migration is shown with", SQLState: RefusedValue, err: err}
	}
	return knobsOf(migration, db.QueryRow(ctx, s.sql(setKnobsSQL), migration, change))
}

// checkKnobs refuses names that are no knobs, and values of another type.
func checkKnobs(change json.RawMessage) error {
	decoder := json.NewDecoder(bytes.NewReader(change))
	decoder.DisallowUnknownFields()
	var typed KnobsSet
	if err := decoder.Decode(&typed); err != nil {
		if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && mismatch.Field != "" {
			return fmt.Errorf("%s is a %s and has to be a %s", mismatch.Field, mismatch.Value, mismatch.Type)
		}
		return fmt.Errorf("settings are not the JSON that is expected: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(change, &given); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if string(given[name]) == "null" && !slices.Contains([]string{"target_duration_ms", "throttle", "max_attempts"}, name) {
			return fmt.Errorf("%s is null and has no default", name)
		}
	}
	return nil
}

// ID returns the id of the migration of that name; the error wraps [ErrNoMigration].
func (s Store) ID(ctx context.Context, db DB, migration string) (id int32, err error) {
	err = db.QueryRow(ctx, s.sql("SELECT id FROM bbm.batched_background_migrations WHERE name = $1"), migration).Scan(&id)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, fmt.Errorf("%w named %q", ErrNoMigration, migration)
	case err != nil:
		return 0, fmt.Errorf("look up migration %q: %w", migration, err)
	default:
		return id, nil
	}
}
