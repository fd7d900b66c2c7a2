package control_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestEnqueueFillsTheDefaults(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, "CREATE TABLE users (id bigint PRIMARY KEY)")
	conn := db.Conn(t)

	name, err := control.Store{}.Enqueue(t.Context(), conn, control.Request{Work: "copy_column", Table: "users"})
	require.NoError(t, err)
	require.Equal(t, "copy_column_users", name)

	d, err := control.Store{}.Detail(t.Context(), conn, name)
	require.NoError(t, err)
	require.Equal(t, "public.users", d.Table)
	require.JSONEq(t, "{}", string(d.Arguments))
	require.Equal(t, control.StatusActive, d.Status)
	require.Equal(t, int32(1000), d.BatchSize)
	require.Equal(t, int32(1), d.Parallelism)
	require.Nil(t, d.MaxAttempts)
	require.Nil(t, d.Column)
	require.Nil(t, d.Min)
	require.Empty(t, d.DependsOn)
}

func TestEnqueuePassesEverything(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, "CREATE TABLE users (id bigint PRIMARY KEY, n int UNIQUE)")
	conn := db.Conn(t)

	_, err := control.Store{}.Enqueue(t.Context(), conn, control.Request{
		Work: "w", Table: "public.users", Arguments: []byte(`{"a": 1}`), Name: "mine", Columns: "n", BatchSize: new(int32(7)),
		Parallelism: new(int32(3)), Priority: -2, DependsOn: []string{"other"}, MaxAttempts: new(int32(9)),
		Min: new("9"), Max: new("10"), Paused: true,
		MinBatchSize: new(int32(5)), MaxBatchSize: new(int32(50)), TargetDuration: new(time.Duration(0)), Pause: 20 * time.Millisecond, MaxQuarantined: 3,
	})
	require.NoError(t, err)

	d, err := control.Store{}.Detail(t.Context(), conn, "mine")
	require.NoError(t, err)
	require.JSONEq(t, `{"a": 1}`, string(d.Arguments))
	require.Equal(t, "paused", d.Status)
	require.Equal(t, []int32{7, 3, -2, 9}, []int32{d.BatchSize, d.Parallelism, d.Priority, *d.MaxAttempts})
	require.Equal(t, []string{"n", "9", "10"}, []string{*d.Column, *d.Min, *d.Max})
	require.Equal(t, []string{"other"}, d.DependsOn)
	require.Equal(t, int32(3), d.MaxQuarantined)
	require.Equal(t, "5 50 00:00:00 00:00:00.02 keyset", pgtest.One[string](t, db,
		"SELECT concat_ws(' ', min_batch_size, max_batch_size, target_duration, pause, batching_strategy) FROM bbm.batched_background_migrations"))
}

func TestEnqueueRefusesWithReasonAndWayOut(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, `CREATE TABLE users (id bigint PRIMARY KEY, at timestamptz);
		SELECT bbm.enqueue('w', 'users', name => 'taken')`)

	for name, test := range map[string]struct {
		request control.Request
		state   string
		message string
	}{
		"table": {
			control.Request{Work: "w", Table: "userz"},
			control.RefusedTable, `table "userz" does not exist: Give its schema as well`,
		},
		"column": {
			control.Request{Work: "w", Table: "users", Columns: "idd"},
			control.RefusedColumn, "table public.users has no column idd: Leave column_name out",
		},
		"name": {
			control.Request{Work: "w", Table: "users", Name: "taken"},
			control.RefusedName, `there is a migration named "taken" already, and it is active: Give this one a name`,
		},
		"batch size": {
			control.Request{Work: "w", Table: "users", BatchSize: new(int32(0))},
			control.RefusedValue, "batch size has to be between 1 and 10 million",
		},
		"strategy": {
			control.Request{Work: "w", Table: "users", Strategy: "random"},
			control.RefusedValue, "batching strategy has to be keyset or null",
		},
		"arguments": {
			control.Request{Work: "w", Table: "users", Arguments: []byte("[1]")},
			control.RefusedValue, "arguments have to be a json object",
		},
		"range, compared as numbers": {
			control.Request{Work: "w", Table: "users", Min: new("10"), Max: new("9")},
			control.RefusedValue, "the first key, 10, comes after the last, 9: exchange them",
		},
		"range of a named column": {
			control.Request{Work: "w", Table: "users", Columns: "at", Min: new("2021-01-01"), Max: new("2020-01-01")},
			control.RefusedValue, "the first key, 2021-01-01, comes after the last",
		},
		"no key": {
			control.Request{Work: "w", Table: "users", Min: new("ten")},
			"22P02", `invalid input syntax for type bigint: "ten"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := control.Store{}.Enqueue(t.Context(), db.Conn(t), test.request)
			var refused *control.RefusalError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, test.state, refused.SQLState)
			require.ErrorContains(t, err, test.message)
		})
	}
}

func TestEnqueueRefusesWhatIsNoName(t *testing.T) {
	t.Parallel()
	conn := pgtest.New(t).Conn(t)
	for _, table := range []string{`"users`, "a.b.c.d", ""} {
		_, err := control.Store{}.Enqueue(t.Context(), conn, control.Request{Work: "w", Table: table})
		var refused *control.RefusalError
		require.ErrorAs(t, err, &refused)
		require.Contains(t, refused.Message, table)
		require.Regexp(t, "is no name of a table .*: Write it as in SQL|does not exist: Give its schema", err.Error()) // from 16 on
	}
}

func TestDoChangesTheStatus(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, "CREATE TABLE users (id bigint PRIMARY KEY); SELECT bbm.enqueue('w', 'users', name => 'm')")
	conn := db.Conn(t)

	for _, step := range []struct {
		command       control.Command
		before, after string
	}{
		{control.Pause, "active", "paused"},
		{control.Pause, "paused", "paused"},
		{control.Resume, "paused", "active"},
		{control.Resume, "active", "active"},
		{control.Cancel, "active", "cancelled"},
	} {
		before, after, err := control.Store{}.Do(t.Context(), conn, step.command, "m", "")
		require.NoError(t, err)
		require.Equal(t, step.before, before, step.command)
		require.Equal(t, step.after, after, step.command)
	}

	_, _, err := control.Store{}.Do(t.Context(), conn, control.Resume, "m", "")
	var refused *control.RefusalError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, control.RefusedStatus, refused.SQLState)
	require.ErrorContains(t, err, `migration "m" is cancelled: it cannot become active`)

	_, _, err = control.Store{}.Do(t.Context(), conn, control.Retry, "n", "")
	require.ErrorAs(t, err, &refused)
	require.Equal(t, control.RefusedUnknown, refused.SQLState)
}

func TestDoRecordsTheReason(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, "CREATE TABLE users (id bigint PRIMARY KEY); SELECT bbm.enqueue('w', 'users', name => 'm')")
	conn := db.Conn(t)

	_, _, err := control.Store{}.Do(t.Context(), conn, control.Pause, "m", "Black Friday")
	require.NoError(t, err)
	d, err := control.Store{}.Detail(t.Context(), conn, "m")
	require.NoError(t, err)
	require.Equal(t, "Black Friday", *d.Reason)
	require.Equal(t, "Black Friday", *d.Transitions[1].Reason)
}

func TestRetryPutsFailedJobsBack(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "m")
	addJob(t, db, "failed", "2", "the disk is full")
	db.Exec(t, "UPDATE bbm.batched_background_migrations SET status = 'failed'")

	before, after, err := control.Store{}.Do(t.Context(), db.Conn(t), control.Retry, "m", "")
	require.NoError(t, err)
	require.Equal(t, []string{"failed", "active"}, []string{before, after})
	require.Equal(t, []string{"pending"}, pgtest.Column[string](t, db, "SELECT status FROM bbm.batched_background_migration_jobs"))
}

func TestOtherErrorsAreNoRefusals(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t) // without the control schema
	_, _, err := control.Store{}.Do(t.Context(), db.Conn(t), control.Pause, "m", "")
	require.Error(t, err)
	conn := db.Conn(t)
	require.NoError(t, conn.Close(t.Context()))
	_, err = control.Store{}.Enqueue(t.Context(), conn, control.Request{Work: "w", Table: "t"})
	require.Error(t, err)
	var refused *control.RefusalError
	require.False(t, errors.As(err, &refused))
}
