package control_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// What was counted before the server's clock was set back neither counts as speed nor keeps it from being told.
func TestCountersSurviveAClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "m")
	db.Exec(t, `INSERT INTO bbm.counters (batched_background_migration_id, owner, batches, keys, rows, window_start, window_keys, earlier_start, earlier_keys, updated_at)
		SELECT 1, 7, 2, 200, 190, later, 100, later - interval '15 seconds', 100, later FROM (SELECT clock_timestamp() + interval '3 hours') v(later);
		UPDATE bbm.batched_background_migrations SET started_at = clock_timestamp() + interval '3 hours'`)

	_, err := control.Store{}.Count(t.Context(), db.Conn(t), 1, 7, "m", control.Tally{Batches: 1, Keys: 50, Rows: 50})
	require.NoError(t, err)
	type window struct {
		Keys, WindowKeys, EarlierKeys int64
		Now, Earlier                  bool
	}
	require.Equal(t, []window{{Keys: 250, Now: true}}, pgtest.Rows[window](t, db, `SELECT keys, window_keys AS "window_keys", earlier_keys AS "earlier_keys",
		window_start <= clock_timestamp() AS now, earlier_start IS NOT NULL AS earlier FROM bbm.counters`))
	all, err := control.Store{}.Progress(t.Context(), db.Conn(t), control.Selection{})
	require.NoError(t, err)
	require.GreaterOrEqual(t, *all[0].SecondsElapsed, 0.0)
}

// The last change of status may lie ahead then: the speed is told by what was counted since.
func TestSpeedIsToldAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "m")
	db.Exec(t, "UPDATE bbm.transitions SET at = clock_timestamp() + interval '3 hours'; UPDATE bbm.batched_background_migrations SET started_at = clock_timestamp() + interval '2 hours'")
	db.Exec(t, `INSERT INTO bbm.counters (batched_background_migration_id, owner, batches, keys, rows, p90_ms, window_start, window_keys, updated_at)
		SELECT 1, owner, 1, keys, keys, 600000, at - interval '4 seconds', keys, at
		FROM (VALUES (1, 400, clock_timestamp()), (2, 1000000, clock_timestamp() + interval '1 hour')) v(owner, keys, at)`)

	all, err := control.Store{}.Progress(t.Context(), db.Conn(t), control.Selection{})
	require.NoError(t, err)
	require.Equal(t, control.PaceMoving, all[0].Pace)
	require.Positive(t, *all[0].KeysPerSecond)
	require.LessOrEqual(t, *all[0].KeysPerSecond, 100.0, "what was counted before says nothing")
}
