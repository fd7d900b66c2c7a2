package control_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// startMigration enqueues a migration, with a table of its own, and starts it.
func startMigration(t *testing.T, db *pgtest.Database, name string) {
	t.Helper()
	db.Exec(t, "CREATE TABLE "+name+" (id bigint PRIMARY KEY)")
	db.Exec(t, "SELECT bbm.enqueue('w', $1, name => $1)", name)
	db.Exec(t, `UPDATE bbm.batched_background_migrations SET status = 'running', started_at = clock_timestamp() - interval '10 seconds',
		table_oid = table_name::regclass, key_columns = '{id}', key_types = '{bigint}', min_value = '1', max_value = '1000',
		work_version = 1, total_tuple_count = 1000 WHERE name = $1`, name)
	db.Exec(t, "UPDATE bbm.transitions SET at = at - interval '10 seconds' WHERE name = $1", name)
}

// addJob appends a job to the chain of the only migration that has started.
func addJob(t *testing.T, db *pgtest.Database, status, end, message string) {
	t.Helper()
	db.Exec(t, `INSERT INTO bbm.batched_background_migration_jobs
		(batched_background_migration_id, ordinal, max_value, batch_size, status, owner, error_message, error_sqlstate, finished_at, next_attempt_at)
		SELECT id, (SELECT coalesce(max(ordinal), 0) + 1 FROM bbm.batched_background_migration_jobs), $2, 100, $1,
			CASE WHEN $1 = 'running' THEN 1 END, nullif($3, ''), CASE WHEN $3 <> '' THEN '22012' END,
			CASE WHEN $1 = 'finished' THEN clock_timestamp() - interval '4 seconds' / count(*) OVER () END, clock_timestamp() + interval '1 minute'
		FROM bbm.batched_background_migrations WHERE table_oid IS NOT NULL`, status, end, message)
}

func TestProgressCountsAndEstimates(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "m")
	// One owner has counted for four seconds, the other for twenty, whose first ten are in the earlier window.
	db.Exec(t, `INSERT INTO bbm.counters (batched_background_migration_id, owner, batches, keys, rows, window_start, window_keys, earlier_start, earlier_keys, updated_at)
		VALUES (1, 1, 2, 200, 190, clock_timestamp() - interval '4 seconds', 100, NULL, 0, clock_timestamp()),
			(1, 2, 2, 200, 190, clock_timestamp() - interval '3 seconds', 30, clock_timestamp() - interval '8 seconds', 50, clock_timestamp()),
			(1, 3, 0, 0, 0, clock_timestamp() - interval '9 seconds', 1000000, NULL, 0, clock_timestamp() - interval '9 minutes')`)
	for _, end := range []string{"100", "200", "300", "400"} {
		addJob(t, db, "finished", end, "")
	}
	addJob(t, db, "running", "500", "")
	addJob(t, db, "pending", "600", "division by zero")
	addJob(t, db, "pending", "700", "")
	addJob(t, db, "failed", "800", "division by zero")
	db.Exec(t, "INSERT INTO bbm.quarantine (batched_background_migration_id, batched_background_migration_job_id, key, attempts) VALUES (1, 1, '7', 5)")
	db.Exec(t, "UPDATE bbm.counters SET batch_size = 120, batch_size_reason = 'fast'")

	all, err := control.Store{}.Progress(t.Context(), db.Conn(t), control.Selection{})
	require.NoError(t, err)
	require.Len(t, all, 1)
	p := all[0]
	require.Equal(t, []int64{4, 400, 380, 1000}, []int64{p.Batches, p.Keys, p.Rows, *p.Total})
	require.InDelta(t, 40, p.Percent, 0.001)
	require.Equal(t, int64(1), p.Quarantined)
	require.Equal(t, int32(120), *p.CurrentBatchSize)
	require.Equal(t, "fast", *p.BatchSizeReason)
	require.Equal(t, []int64{1, 2, 1}, []int64{p.RunningJobs, p.PendingJobs, p.FailedJobs})
	require.Equal(t, control.PaceMoving, p.Pace)
	require.LessOrEqual(t, *p.KeysPerSecond, 100/4.0+80/8.0)
	require.Greater(t, *p.KeysPerSecond, 100/64.0+80/68.0, "within a minute")
	require.InDelta(t, 600 / *p.KeysPerSecond, *p.SecondsLeft, 0.001)
	require.InDelta(t, 40, *p.SecondsElapsed, 30.5)

	require.Len(t, p.Troubles, 2, "jobs without an error are none")
	require.Equal(t, "failed", p.Troubles[0].Status)
	require.Nil(t, p.Troubles[0].SecondsUntilNextAttempt)
	require.Equal(t, []string{"pending", "600", "division by zero", "22012"},
		[]string{p.Troubles[1].Status, p.Troubles[1].Max, *p.Troubles[1].Error, *p.Troubles[1].SQLState})
	require.InDelta(t, 45, *p.Troubles[1].SecondsUntilNextAttempt, 15.5)
}

func TestSpeedIsMeasuredSinceTheLastPause(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "m")
	db.Exec(t, `INSERT INTO bbm.counters (batched_background_migration_id, owner, batches, keys, rows, window_start, window_keys)
		VALUES (1, 1, 4, 400, 400, clock_timestamp() - interval '4 seconds', 400)`)
	db.Exec(t, "SELECT bbm.pause('m')")
	db.Exec(t, "SELECT bbm.resume('m'); UPDATE bbm.batched_background_migrations SET status = 'running'")
	all, err := control.Store{}.Progress(t.Context(), db.Conn(t), control.Selection{})
	require.NoError(t, err)
	require.Nil(t, all[0].KeysPerSecond)
	require.Equal(t, control.PaceMeasuring, all[0].Pace)
}

func TestProgressOfLongBatchesIsAnAverage(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "m")
	db.Exec(t, "INSERT INTO bbm.counters (batched_background_migration_id, owner, batches, keys, rows) VALUES (1, 1, 1, 100, 100)")

	all, err := control.Store{}.Progress(t.Context(), db.Conn(t), control.Selection{})
	require.NoError(t, err)
	require.InDelta(t, 100 / *all[0].SecondsElapsed, *all[0].KeysPerSecond, 0.001)
	require.NotNil(t, all[0].SecondsLeft)
}

func TestProgressOfAStartSaysNothingItCannotKnow(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "m")

	all, err := control.Store{}.Progress(t.Context(), db.Conn(t), control.Selection{})
	require.NoError(t, err)
	require.Nil(t, all[0].KeysPerSecond)
	require.Nil(t, all[0].SecondsLeft)
}

func TestProgressIsInTheOrderOfInterest(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "running")
	db.Exec(t, `CREATE TABLE t (id int PRIMARY KEY);
		SELECT bbm.enqueue('w', 't', name => n) FROM unnest('{done_first,done_last,cancelled,failed,paused,active,urgent}'::text[]) n;
		UPDATE bbm.batched_background_migrations SET priority = -1 WHERE name = 'urgent';
		UPDATE bbm.batched_background_migrations SET status = name WHERE name IN ('cancelled', 'failed', 'paused')`)
	db.Exec(t, "UPDATE bbm.batched_background_migrations SET status = 'finished' WHERE name = 'done_first'")
	db.Exec(t, "UPDATE bbm.batched_background_migrations SET status = 'finished' WHERE name = 'done_last'")
	conn := db.Conn(t)

	names := func(sel control.Selection) (names []string) {
		all, err := control.Store{}.Progress(t.Context(), conn, sel)
		require.NoError(t, err)
		for _, p := range all {
			names = append(names, p.Name)
		}
		return names
	}
	require.Equal(t, []string{"running", "urgent", "active", "paused", "failed", "done_last", "done_first", "cancelled"}, names(control.Selection{}))
	require.Equal(t, []string{"running", "urgent", "active", "paused", "failed", "done_last"}, names(control.Selection{Ended: 1, Names: []string{}}))
	require.Equal(t, []string{"running", "urgent", "active", "paused", "done_first"}, names(control.Selection{Open: true, Names: []string{"done_first"}}))
	require.Equal(t, []string{"paused", "done_first"}, names(control.Selection{Names: []string{"done_first", "paused", "no such"}}))

	latest, err := control.Store{}.Names(t.Context(), conn, 2)
	require.NoError(t, err)
	require.Equal(t, []string{"urgent", "active"}, latest)
}

func TestDetailTellsTheStory(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "m")
	addJob(t, db, "pending", "100", "")
	addJob(t, db, "failed", "200", "division by zero")
	conn := db.Conn(t)

	d, err := control.Store{}.Detail(t.Context(), conn, "m")
	require.NoError(t, err)
	require.Equal(t, []string{"id"}, d.KeyColumns)
	require.Equal(t, []string{"bigint"}, d.KeyTypes)
	require.Len(t, d.Transitions, 2)
	require.Nil(t, d.Transitions[0].From)
	require.Equal(t, "running", d.Transitions[1].To)
	require.Equal(t, pgtest.Owner, d.Transitions[1].Who)
	require.WithinDuration(t, time.Now(), d.Transitions[1].At, time.Minute)
	require.Len(t, d.Jobs, 2)
	require.Equal(t, "failed", d.Jobs[0].Status)
	require.Equal(t, int64(2), *d.Jobs[0].Ordinal)

	_, err = control.Store{}.Detail(t.Context(), conn, "n")
	require.ErrorIs(t, err, control.ErrNoMigration)
}

func TestDetailIsOneJSONObject(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "m")
	d, err := control.Store{}.Detail(t.Context(), db.Conn(t), "m")
	require.NoError(t, err)
	text, err := json.Marshal(d)
	require.NoError(t, err)
	var object map[string]any
	require.NoError(t, json.Unmarshal(text, &object))
	for _, name := range []string{"name", "status", "arguments", "transitions", "jobs", "troubles"} {
		require.Contains(t, object, name)
	}
	require.IsType(t, []any{}, object["jobs"], "a list, also when it is empty")
}

func TestProgressOfAnotherSchema(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	conn := db.Conn(t)
	require.NoError(t, control.Install(t.Context(), conn, "My Schema"))
	db.Exec(t, "CREATE TABLE users (id bigint PRIMARY KEY)")
	store := control.NewStore("My Schema")

	name, err := store.Enqueue(t.Context(), conn, control.Request{Work: "w", Table: "users"})
	require.NoError(t, err)
	_, after, err := store.Do(t.Context(), conn, control.Pause, name, "")
	require.NoError(t, err)
	require.Equal(t, "paused", after)
	d, err := store.Detail(t.Context(), conn, name)
	require.NoError(t, err)
	require.Len(t, d.Transitions, 2)
}

func TestAttendedSeesADaemonAlone(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	conn := db.Conn(t)
	attended := func() bool {
		attended, err := control.Store{}.Attended(t.Context(), conn)
		require.NoError(t, err)
		return attended
	}
	as := func(name string) {
		other := db.Conn(t)
		_, err := other.Exec(t.Context(), "SELECT set_config('application_name', $1, false)", name)
		require.NoError(t, err)
	}
	as("bbmd/default/status")
	require.False(t, attended(), "a command's session is no daemon's")
	as("bbmd/default")
	require.True(t, attended())
}
