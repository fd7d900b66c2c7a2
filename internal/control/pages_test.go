package control_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// chain gives the only migration finished jobs.
func chain(t *testing.T, db *pgtest.Database, from, to int) {
	t.Helper()
	db.Exec(t, `INSERT INTO bbm.batched_background_migration_jobs (batched_background_migration_id, ordinal, max_value, batch_size, status, duration_ms, finished_at)
		SELECT 1, i, i, i, 'finished', 50, clock_timestamp() FROM generate_series($1::int, $2::int) i`, from, to)
}

func TestPagesOfJobs(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "m")
	chain(t, db, 1, 500)
	db.Exec(t, `INSERT INTO bbm.batched_background_migration_jobs (batched_background_migration_id, ordinal, max_value, batch_size, status)
		SELECT 1, 500 + i, 500 + i, 1, CASE WHEN i % 2 = 0 THEN 'failed' ELSE 'pending' END FROM generate_series(1, 5) i`)
	store, conn := control.Store{}, db.Conn(t)
	ordinals := func(jobs []control.JobRow, err error) (all []int64) {
		require.NoError(t, err)
		for _, j := range jobs {
			all = append(all, *j.Ordinal)
		}
		return all
	}
	require.Equal(t, []int64{505, 504, 503}, ordinals(store.JobsPage(t.Context(), conn, 1, 0, 3)))
	require.Equal(t, []int64{2, 1}, ordinals(store.JobsPage(t.Context(), conn, 1, 3, 3)))
	require.Empty(t, ordinals(store.JobsPage(t.Context(), conn, 1, 1, 3)))
	open, err := store.OpenJobsPage(t.Context(), conn, 1, "", 0, 2)
	require.Equal(t, []int64{501, 502}, ordinals(open, err))
	require.Equal(t, []int64{503, 504, 505}, ordinals(store.OpenJobsPage(t.Context(), conn, 1, "", open[1].ID, 10)))
	require.Equal(t, []int64{502, 504}, ordinals(store.OpenJobsPage(t.Context(), conn, 1, "failed", 0, 10)))
	require.Empty(t, ordinals(store.OpenJobsPage(t.Context(), conn, 2, "", 0, 10)))

	samples, err := store.BatchSamples(t.Context(), conn, 1, 100)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(samples), 99)
	require.LessOrEqual(t, len(samples), 102)
	require.IsIncreasing(t, []int64{samples[0].Ordinal, samples[50].Ordinal, samples[len(samples)-1].Ordinal})
	require.Equal(t, int32(samples[7].Ordinal), samples[7].BatchSize)
	none, err := store.BatchSamples(t.Context(), conn, 2, 100)
	require.NoError(t, err)
	require.Empty(t, none)
}

// However many jobs have finished: a page costs the same.
func TestPagesDoNotGrowWithHistory(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "m")
	conn := db.Conn(t)
	cost := func() (pages []int) {
		for _, query := range []struct {
			sql  string
			args []any
		}{
			{control.SamplesSQL, []any{1, 100}},
			{strings.ReplaceAll(control.PageOfJobs+"ordinal IS NOT NULL AND ($2::bigint = 0 OR ordinal < $2) ORDER BY ordinal DESC LIMIT 50) t", "@order@", "ordinal DESC"), []any{1, 900}},
			{strings.ReplaceAll(control.PageOfJobs+"status <> 'finished' AND ($2 = '' OR status = $2) AND id > 0 ORDER BY id LIMIT 50) t", "@order@", "id"), []any{1, ""}},
		} {
			var text []byte
			for range 2 { // the first fills the session's caches
				require.NoError(t, conn.QueryRow(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+query.sql, query.args...).Scan(&text))
			}
			var plans []struct {
				Plan struct {
					Hit  int `json:"Shared Hit Blocks"`
					Read int `json:"Shared Read Blocks"`
				}
			}
			require.NoError(t, json.Unmarshal(text, &plans))
			pages = append(pages, plans[0].Plan.Hit+plans[0].Plan.Read)
		}
		return pages
	}
	chain(t, db, 1, 1000)
	db.Exec(t, "VACUUM ANALYZE bbm.batched_background_migration_jobs")
	few := cost()
	chain(t, db, 1001, 40000)
	db.Exec(t, "VACUUM ANALYZE bbm.batched_background_migration_jobs")
	for i, many := range cost() {
		require.LessOrEqual(t, many, 2*few[i]+120, "query %d: %v", i, few)
	}
}

// Every change of a setting is in the audit, whoever makes it, and only what has changed.
func TestChangesAreAudited(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "m")
	store, conn := control.Store{}, db.Conn(t)
	_, err := store.SetKnobs(t.Context(), conn, "m", json.RawMessage(`{"parallelism": 1, "priority": 0}`))
	require.NoError(t, err)
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.changes"), "nothing has changed")

	require.NoError(t, pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		require.NoError(t, store.As(t.Context(), tx, "somebody: "+strings.Repeat("x", 100)))
		_, err := store.SetKnobs(t.Context(), tx, "m", json.RawMessage(`{"parallelism": 3, "max_attempts": 7, "depends_on": ["a", "b"]}`))
		return err
	}))
	db.Exec(t, `UPDATE bbm.batched_background_migrations SET throttle = '{"duty": 0.5}', updated_at = now()`)
	require.NoError(t, store.Record(t.Context(), conn, "m", "finalize"))
	require.ErrorIs(t, store.Record(t.Context(), conn, "n", "finalize"), control.ErrNoMigration)

	all, behind, err := store.Audit(t.Context(), conn, 1, control.AuditCursor{}, 100)
	require.NoError(t, err)
	var told []string
	for _, e := range all {
		told = append(told, e.What+" "+deref(e.From)+">"+deref(e.To))
	}
	require.Equal(t, []string{
		"finalize >", `throttle >{"duty": 0.5}`, "parallelism 1>3", "max_attempts >7", `depends_on []>["a", "b"]`, "status active>running", "status >active",
	}, told)
	require.Regexp(t, `^somebody: x{53}$`, all[2].Application, "as long as PostgreSQL keeps it")
	require.Equal(t, control.AuditCursor{Transition: 1, Change: 1}, behind)

	var paged []control.AuditEntry
	for cursor := (control.AuditCursor{}); ; {
		page, next, err := store.Audit(t.Context(), conn, 0, cursor, 2)
		require.NoError(t, err)
		if len(page) == 0 {
			break
		}
		paged, cursor = append(paged, page...), next
	}
	require.Equal(t, all, paged)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Whoever may change a migration need not be allowed to write the audit.
func TestChangesOfARoleWithFewRights(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).Superuser(t)
	startMigration(t, db, "m")
	conn := db.Conn(t)
	role := pgx.Identifier{"clerk_" + pgtest.One[string](t, db, "SELECT md5(current_database())")}.Sanitize()
	db.Superuser(t).Exec(t, "CREATE ROLE "+role+"; GRANT USAGE ON SCHEMA bbm TO "+role+"; GRANT SELECT, UPDATE ON bbm.batched_background_migrations TO "+role)
	t.Cleanup(func() {
		_, err := conn.Exec(context.WithoutCancel(t.Context()), "RESET ROLE; DROP OWNED BY "+role+"; DROP ROLE "+role)
		require.NoError(t, err)
	})
	_, err := conn.Exec(t.Context(), "SET ROLE "+role)
	require.NoError(t, err)
	_, err = control.Store{}.SetKnobs(t.Context(), conn, "m", json.RawMessage(`{"parallelism": 2}`))
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "INSERT INTO bbm.changes (batched_background_migration_id, name, what) VALUES (1, 'm', 'finalize')")
	require.ErrorContains(t, err, "permission denied")
	require.Equal(t, 1, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.changes WHERE what = 'parallelism'"))
}

func TestRefusedSettings(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "m")
	store, conn := control.Store{}, db.Conn(t)
	for change, want := range map[string]string{
		`{"parallelism": 65}`:              "parallelism has to be between 1 and 64",
		`{"parallelism": null}`:            "parallelism is null and has no default",
		`{"parallelism": 1.5}`:             "has to be a int32",
		`{"depends_on": "a"}`:              "has to be a []string",
		`{"status": "finished"}`:           `unknown field "status"`,
		`[]`:                               "not the JSON",
		`{"pause_ms": 60001}`:              "pause has to be between 0 and 1 minute",
		`{"min_batch_size": 200000}`:       "min batch size has to be between 1 and max batch size",
		`{"throttle": [1]}`:                "throttle has to be a json object",
		`{"target_duration_ms": -1}`:       "target duration has to be not negative",
		`{"max_quarantined": 99999999999}`: "has to be a int32",
	} {
		_, err := store.SetKnobs(t.Context(), conn, "m", json.RawMessage(change))
		var refused *control.RefusalError
		require.ErrorAs(t, err, &refused, change)
		require.ErrorContains(t, err, want, change)
	}
	_, err := store.SetKnobs(t.Context(), conn, "none", json.RawMessage(`{}`))
	require.ErrorIs(t, err, control.ErrNoMigration)
	knobs, err := store.SetKnobs(t.Context(), conn, "m", json.RawMessage(`{"target_duration_ms": 12.5, "pause_ms": 3, "throttle": {"duty": 1}}`))
	require.NoError(t, err)
	again, err := store.Knobs(t.Context(), conn, "m")
	require.NoError(t, err)
	require.Equal(t, knobs, again)
	require.InDelta(t, 12.5, *again.TargetMillis, 0.001)
	knobs, err = store.SetKnobs(t.Context(), conn, "m", json.RawMessage(`{"target_duration_ms": null, "throttle": null}`))
	require.NoError(t, err)
	require.Nil(t, knobs.TargetMillis)
	require.Equal(t, "null", string(knobs.Throttle))
}
