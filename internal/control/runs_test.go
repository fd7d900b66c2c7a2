package control_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func begin(t *testing.T, db *pgtest.Database) int64 {
	t.Helper()
	id, err := control.Store{}.BeginRun(t.Context(), db.Conn(t), control.RunStart{
		Action: "migrate", StateBefore: "VERSIONED", Tool: "goose", From: []string{"1"}, To: []string{"3"},
		Plan: []byte(`{"action": "migrate"}`), Host: "here", BackendPID: 42,
	})
	require.NoError(t, err)
	return id
}

func TestRunIsKeptFromBeginningToEnd(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, "CREATE TABLE t (id int PRIMARY KEY)")
	conn, store := db.Conn(t), control.Store{}
	id := begin(t, db)

	step := control.RunStep{Ordinal: 1, Does: "migrate", Version: new("2"), Name: new("add_t"), File: new("2_add_t.sql")}
	move := func(move control.RunMove) {
		t.Helper()
		require.NoError(t, store.MoveRun(t.Context(), conn, id, move))
	}
	require.NoError(t, store.RecordApplied(t.Context(), conn, "goose", 0, []control.AppliedFile{file("2", "b"), file("3", "c")}))
	move(control.RunMove{Started: &control.RunStepStart{Step: step, Tool: "goose", Forget: []string{"2"}}})
	move(control.RunMove{Started: &control.RunStepStart{Step: step}})
	applied, err := store.Applied(t.Context(), conn, "goose")
	require.NoError(t, err)
	require.Equal(t, []string{"3"}, slices.Sorted(maps.Keys(applied)))
	step.Ordinal, step.Version, step.Transactional = 2, new("3"), true
	move(control.RunMove{
		Ended:   &control.RunStepEnd{Ordinal: 1, Tool: "goose", Files: []control.AppliedFile{file("2", "new")}},
		Started: &control.RunStepStart{Step: step, Tool: "goose", Forget: []string{"3"}},
	})
	applied, err = store.Applied(t.Context(), conn, "goose")
	require.NoError(t, err)
	require.Equal(t, []string{"2"}, slices.Sorted(maps.Keys(applied)))
	require.Equal(t, "new", applied["2"].Checksum)
	require.NoError(t, store.LogRun(t.Context(), conn, id, "one\n"))
	require.NoError(t, store.LogRun(t.Context(), conn, id, "two\n"))

	runs, err := store.Runs(t.Context(), conn, 10)
	require.NoError(t, err)
	require.Len(t, runs, 1)
	run := runs[0]
	require.Equal(t, control.OutcomeRunning, run.Outcome)
	require.Nil(t, run.FinishedAt)
	require.Equal(t, "one\ntwo\n", run.Log)
	require.Len(t, run.Indexes, 1+pgtest.One[int](t, db, "SELECT count(*) FROM pg_indexes WHERE schemaname = 'bbm'"))
	require.Len(t, run.Steps, 2)
	require.Equal(t, int32(2), run.Steps[0].Attempts)
	require.NotNil(t, run.Steps[0].FinishedAt)
	require.False(t, run.Steps[0].Transactional)
	require.Nil(t, run.Steps[1].FinishedAt)
	require.True(t, run.Steps[1].Transactional)

	require.NoError(t, store.FailRun(t.Context(), conn, id, control.RunFailure{Message: "no", SQLState: "42P01", File: "3_x.sql", Line: 7, Hint: "perhaps"}))
	require.NoError(t, store.FinishRun(t.Context(), conn, id, []string{"3"})) // it is over: too late
	runs, err = store.Runs(t.Context(), conn, 1)
	require.NoError(t, err)
	run = runs[0]
	require.Equal(t, control.OutcomeFailed, run.Outcome)
	require.NotNil(t, run.FinishedAt)
	require.Equal(t, []string{"no", "42P01", "3_x.sql", "perhaps"}, []string{*run.Error, *run.SQLState, *run.File, *run.Hint})
	require.Equal(t, int32(7), *run.Line)
	require.Equal(t, []string{"3"}, run.To)
}

func TestFinishedRunSaysWhereItLedTo(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	conn, store := db.Conn(t), control.Store{}
	first, second := begin(t, db), begin(t, db)

	require.NoError(t, store.FinishRun(t.Context(), conn, first, nil))
	interrupted, err := store.InterruptRuns(t.Context(), conn)
	require.NoError(t, err)
	require.Equal(t, []int64{second}, interrupted)

	runs, err := store.Runs(t.Context(), conn, 10)
	require.NoError(t, err)
	require.Equal(t, []int64{second, first}, []int64{runs[0].ID, runs[1].ID})
	require.Equal(t, []string{control.OutcomeInterrupted, control.OutcomeFinished}, []string{runs[0].Outcome, runs[1].Outcome})
	require.Empty(t, runs[1].To)
}

func TestRunsAreTidiedWhenNobodyIsAtWork(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	store, worker, conn := control.Store{}, db.Conn(t), db.Conn(t)
	id := begin(t, db)
	_, err := store.TrySchemaLock(t.Context(), worker)
	require.NoError(t, err)

	ids, err := store.TidyRuns(t.Context(), conn)
	require.NoError(t, err)
	require.Empty(t, ids)
	_, err = store.ReleaseSchemaLock(t.Context(), worker)
	require.NoError(t, err)
	ids, err = store.TidyRuns(t.Context(), conn)
	require.NoError(t, err)
	require.Equal(t, []int64{id}, ids)
}

func TestLongLogKeepsItsEnd(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	conn, store := db.Conn(t), control.Store{}
	id := begin(t, db)

	require.NoError(t, store.LogRun(t.Context(), conn, id, strings.Repeat("x", control.MaxRunLog)))
	require.NoError(t, store.LogRun(t.Context(), conn, id, "end"))

	require.Equal(t, control.MaxRunLog, pgtest.One[int](t, db, "SELECT length(log) FROM bbm.runs"))
	require.Equal(t, "xend", pgtest.One[string](t, db, "SELECT right(log, 4) FROM bbm.runs"))
}

func TestBeginningAndEndOfRunsAreNews(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	listener := db.Conn(t)
	_, err := listener.Exec(t.Context(), "LISTEN bbm_status")
	require.NoError(t, err)

	id := begin(t, db)
	news, err := listener.WaitForNotification(t.Context())
	require.NoError(t, err)
	require.Equal(t, "bbm_status", news.Channel)
	require.NoError(t, control.Store{}.FinishRun(t.Context(), db.Conn(t), id, nil))
	_, err = listener.WaitForNotification(t.Context())
	require.NoError(t, err)
}

func TestSchemaLockTellsItsHolder(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	store := control.Store{}
	first, second := db.Conn(t), db.Conn(t)

	nobody, err := store.SchemaLockHolder(t.Context(), second)
	require.NoError(t, err)
	require.Nil(t, nobody)

	locked, err := store.TrySchemaLock(t.Context(), first)
	require.NoError(t, err)
	require.True(t, locked)
	held, err := store.HoldsSchemaLock(t.Context(), first)
	require.NoError(t, err)
	require.True(t, held)
	held, err = store.HoldsSchemaLock(t.Context(), second)
	require.NoError(t, err)
	require.False(t, held)
	locked, err = store.TrySchemaLock(t.Context(), second)
	require.NoError(t, err)
	require.False(t, locked)

	holder, err := store.SchemaLockHolder(t.Context(), second)
	require.NoError(t, err)
	require.Equal(t, int32(first.PgConn().PID()), holder.PID)
	require.Zero(t, holder.Run)
	id, err := store.BeginRun(t.Context(), second, control.RunStart{
		Action: "create", StateBefore: "EMPTY", Plan: []byte("{}"), Host: "there", BackendPID: first.PgConn().PID(),
	})
	require.NoError(t, err)
	holder, err = store.SchemaLockHolder(t.Context(), second)
	require.NoError(t, err)
	require.Equal(t, id, holder.Run)
	require.Equal(t, []string{"create", "there"}, []string{holder.Action, holder.Host})

	released, err := store.ReleaseSchemaLock(t.Context(), first)
	require.NoError(t, err)
	require.True(t, released)
	released, err = store.ReleaseSchemaLock(t.Context(), first)
	require.NoError(t, err)
	require.False(t, released)
}

func TestCancelAllLeavesWhatIsOver(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, `CREATE TABLE t (id int PRIMARY KEY);
		SELECT bbm.enqueue('w', 't', name => s) FROM unnest('{active,paused,failed,running,finished,cancelled}'::text[]) s;
		SELECT bbm.pause('paused'); SELECT bbm.cancel('cancelled', 'before')`)
	db.Exec(t, "UPDATE bbm.batched_background_migrations SET status = name WHERE name IN ('failed', 'running', 'finished')")

	names, err := control.Store{}.CancelAll(t.Context(), db.Conn(t), "recreated")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"active", "paused", "failed", "running"}, names)
	require.Equal(t, []string{"active", "failed", "paused", "running"}, pgtest.Column[string](t, db,
		"SELECT name FROM bbm.batched_background_migrations WHERE status_reason = 'recreated' AND status = 'cancelled' ORDER BY name"))
}

func TestLiveOwnersAreThoseWhoseSessionLives(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	store, worker := control.Store{}, db.Conn(t)
	epoch, err := store.TakeEpoch(t.Context(), worker)
	require.NoError(t, err)
	db.Exec(t, `INSERT INTO bbm.batched_background_migration_jobs (batched_background_migration_id, ordinal, max_value, batch_size, owner)
		VALUES (1, 1, '1', 1, $1), (1, 2, '2', 1, $1), (1, 3, '3', 1, 1000000)`, epoch)

	owners, err := store.LiveOwners(t.Context(), db.Conn(t))
	require.NoError(t, err)
	require.Len(t, owners, 1)
	require.Equal(t, epoch, owners[0].Owner)
	require.Equal(t, int64(2), owners[0].Jobs)
	require.Equal(t, int32(worker.PgConn().PID()), owners[0].PID)

	require.NoError(t, worker.Close(t.Context()))
	db.WaitFor(t, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", owners[0].PID)
	owners, err = store.LiveOwners(t.Context(), db.Conn(t))
	require.NoError(t, err)
	require.Empty(t, owners)
}
