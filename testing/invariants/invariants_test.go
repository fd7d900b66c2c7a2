package invariants_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/invariants"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const jobs = "bbm.batched_background_migration_jobs"

// soundSQL is migration m as it is after a run in which job 2 was split and a
// worker died: keys 2 to 40, and a row on each side of them.
const soundSQL = `
CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0);
INSERT INTO t SELECT i, (i BETWEEN 2 AND 40)::int FROM generate_series(1, 41) i;
INSERT INTO bbm.batched_background_migrations (name, job_signature_name, table_name) VALUES ('m', 'bump', 'public.t');
UPDATE bbm.batched_background_migrations SET status = 'running', table_oid = 't'::regclass, key_columns = '{id}', key_types = '{bigint}', min_value = '2', max_value = '40';
INSERT INTO bbm.batched_background_migration_jobs
  (batched_background_migration_id, ordinal, after_value, min_value, max_value, batch_size, status, attempts, crashes, error_message, finished_at)
SELECT m.id, j.*, now() FROM bbm.batched_background_migrations m, (VALUES
  (1,    NULL, '2',  '10', 10, 'finished', 1, 0, NULL),
  (2,    '15', NULL, '20', 5,  'finished', 5, 0, 'the row is odd'),
  (3,    '20', NULL, '30', 10, 'finished', 2, 1, 'the worker''s session ended'),
  (4,    '30', NULL, '40', 10, 'finished', 1, 0, NULL),
  (NULL, '10', NULL, '15', 5,  'finished', 5, 0, NULL)) j;
UPDATE bbm.batched_background_migrations SET status = 'finished';
`

func TestSoundMigrationPasses(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, soundSQL)
	invariants.Check(t, db, "m")
	invariants.Counted(t, db, "m", "n")
}

func TestViolationsAreFound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, sql, want string }{
		{"a gap", "DELETE FROM " + jobs + " WHERE ordinal = 3; UPDATE " + jobs + " SET ordinal = 3 WHERE ordinal = 4", `covers \(30, 40\], but the job before it ends at 20`},
		{"a gap where a split was", "DELETE FROM " + jobs + " WHERE ordinal IS NULL", `covers \(15, 20\], but the job before it ends at 10`},
		{"an overlap", "UPDATE " + jobs + " SET after_value = '29' WHERE ordinal = 4", `covers \(29, 40\], but the job before it ends at 30`},
		{"two jobs with one range", "INSERT INTO " + jobs + " (batched_background_migration_id, after_value, max_value, batch_size, status, attempts) SELECT batched_background_migration_id, after_value, max_value, 1, 'finished', 1 FROM " + jobs + " WHERE ordinal = 3", `but the job before it ends at 30`},
		{"two first jobs", "UPDATE " + jobs + " SET after_value = NULL WHERE ordinal = 3", `covers \(the start, 30\], but the job before it ends at 20`},
		{"no first job", "UPDATE " + jobs + " SET after_value = '1' WHERE ordinal = 1", `covers \(1, 10\], but the job before it ends at the start`},
		{"an empty job", "UPDATE " + jobs + " SET max_value = '20' WHERE ordinal = 3; UPDATE " + jobs + " SET after_value = '20' WHERE ordinal = 4", `covers no key: \(20, 20\]`},
		{"an end too early", "DELETE FROM " + jobs + " WHERE ordinal = 4", `finished, but the jobs end at 30 and the range at 40`},
		{"an end too late", "UPDATE " + jobs + " SET max_value = '41' WHERE ordinal = 4", `ends at 41, outside of the range from 2 to 40`},
		{"a first key that is not the range's", "UPDATE " + jobs + " SET min_value = '3' WHERE ordinal = 1", `its first key is 3 instead of 2`},
		{"a missing ordinal", "UPDATE " + jobs + " SET ordinal = 5 WHERE ordinal = 4", `has the ordinal 5 in place 4`},
		{"ordinals out of order", "UPDATE " + jobs + " SET ordinal = 9 - ordinal WHERE ordinal > 2; UPDATE " + jobs + " SET ordinal = ordinal - 2 WHERE ordinal > 4", `has the ordinal 4 in place 3`},
		{"a job that never started", "UPDATE " + jobs + " SET attempts = 0 WHERE ordinal = 1", `is finished after 0 attempts`},
		{"more crashes than attempts", "UPDATE " + jobs + " SET crashes = 2 WHERE ordinal = 3", `is finished after 2 attempts, 2 of them crashes`},
		{"an innocent blamed", "UPDATE " + jobs + " SET attempts = 2 WHERE ordinal = 4", `met no error and took 2 attempts`},
		{"a crash without a word", "UPDATE " + jobs + " SET error_message = NULL WHERE ordinal = 3", `has 1 crashes and no word of them`},
		{"a job left open", "UPDATE " + jobs + " SET status = 'pending' WHERE ordinal = 3", `the migration is finished and job \d+ is pending`},
		{"a failure without a reason", "UPDATE " + jobs + " SET status = 'failed' WHERE ordinal = 1", `has failed and does not say why`},
		{"an audit with a gap", "DELETE FROM bbm.transitions WHERE from_status = 'active'", `goes from running, but the one before it went to active`},
		{"an audit that does not end here", "DELETE FROM bbm.transitions WHERE to_status = 'finished'", `went to running, but the migration is finished`},
		{"no audit", "DELETE FROM bbm.transitions", `there is no record`},
		{"an impossible change", "UPDATE bbm.transitions SET from_status = 'paused' WHERE to_status = 'finished'; UPDATE bbm.transitions SET to_status = 'paused' WHERE to_status = 'running'", `goes from paused to finished, which is impossible`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			db.Exec(t, soundSQL+tt.sql)
			found, err := invariants.Violations(t.Context(), db.Conn(t), "m")
			require.NoError(t, err)
			requireOne(t, found, tt.want)
		})
	}
}

// requireOne demands that one of the violations is as expected.
func requireOne(t *testing.T, found []string, want string) {
	t.Helper()
	require.NotEmpty(t, found)
	for _, v := range found {
		if assertMatches(v, want) {
			return
		}
	}
	require.Failf(t, "not found", "want %s in %q", want, found)
}

func TestRowsAreCounted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, sql, want string }{
		{"missed", "UPDATE t SET n = 0 WHERE id = 2", `row \(2\) was processed 0 times instead of 1; job \d+ covers it and is finished`},
		{"twice", "UPDATE t SET n = 2 WHERE id = 15", `row \(15\) was processed 2 times instead of 1`},
		{"before the range", "UPDATE t SET n = 1 WHERE id = 1", `row \(1\) was processed 1 times instead of 0`},
		{"behind the range", "UPDATE t SET n = 1 WHERE id = 41", `row \(41\) was processed 1 times instead of 0; job none covers it`},
		{"although it was set aside", "INSERT INTO bbm.quarantine (batched_background_migration_id, batched_background_migration_job_id, key, attempts) SELECT batched_background_migration_id, id, '40', 5 FROM " + jobs + " WHERE ordinal = 4", `row \(31\) was processed 1 times instead of 0`},
		{"of a job that is not finished", "UPDATE " + jobs + " SET status = 'pending' WHERE ordinal = 4", `row \(31\) was processed 1 times instead of 0; job \d+ covers it and is pending`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			db.Exec(t, soundSQL+tt.sql)
			found, err := invariants.Miscounted(t.Context(), db.Conn(t), "m", "n")
			require.NoError(t, err)
			requireOne(t, found, tt.want)
		})
	}
}

// Keys compare as their own type: as text '100' sorts before '9', and the
// second column counts.
func TestKeysOfEveryType(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, columns, key, types, first, middle, last string }{
		{"bigint", "id bigint", "id", "bigint", "9", "10", "100"},
		{"uuid", "id uuid", "id", "uuid", "0f000000-0000-0000-0000-000000000000", "A0000000-0000-0000-0000-000000000000", "b0000000-0000-0000-0000-000000000000"},
		{"text", `id text COLLATE "C"`, "id", "text", "B", "a", "ä"},
		{"timestamptz", "id timestamptz", "id", "timestamp with time zone", "2024-01-01 00:00:00+00", "2024-01-01 00:30:00-01", "2024-01-01 02:00:00+00"},
		{"composite", "a int, b bigint", "a,b", "integer,bigint", `["9", "100"]`, `["10", "9"]`, `["10", "100"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			db.Exec(t, "CREATE TABLE t ("+tt.columns+", n int NOT NULL DEFAULT 1, PRIMARY KEY ("+tt.key+"))")
			for _, k := range []string{tt.first, tt.middle, tt.last} {
				if tt.name == "composite" {
					db.Exec(t, "INSERT INTO t VALUES (($1::jsonb->>0)::int, ($1::jsonb->>1)::bigint)", k)
					continue
				}
				db.Exec(t, "INSERT INTO t SELECT $1::text::"+tt.types, k)
			}
			chain(t, db, tt.key, tt.types, tt.first, tt.middle, tt.last)
			invariants.Check(t, db, "m")
			invariants.Counted(t, db, "m", "n")

			db.Exec(t, "UPDATE "+jobs+" SET after_value = $1 WHERE ordinal = 3", tt.first)
			found, err := invariants.Violations(t.Context(), db.Conn(t), "m")
			require.NoError(t, err)
			requireOne(t, found, "but the job before it ends at")
			db.Exec(t, "UPDATE t SET n = 0 WHERE ctid = (SELECT min(ctid) FROM t)")
			found, err = invariants.Miscounted(t.Context(), db.Conn(t), "m", "n")
			require.NoError(t, err)
			require.Len(t, found, 1)
		})
	}
}

// chain makes the finished migration m, with a job for each key.
func chain(t *testing.T, db *pgtest.Database, key, types string, keys ...string) {
	t.Helper()
	db.Exec(t, "INSERT INTO bbm.batched_background_migrations (name, job_signature_name, table_name) VALUES ('m', 'bump', 'public.t')")
	db.Exec(t, `UPDATE bbm.batched_background_migrations SET status = 'running', table_oid = 't'::regclass, key_columns = string_to_array($1, ','),
		key_types = string_to_array($2, ','), min_value = $3, max_value = $4`, key, types, keys[0], keys[len(keys)-1])
	var after *string
	for i, k := range keys {
		db.Exec(t, "INSERT INTO "+jobs+` (batched_background_migration_id, ordinal, after_value, max_value, batch_size, status, attempts, finished_at)
			SELECT id, $1, $2, $3, 1, 'finished', 1, now() FROM bbm.batched_background_migrations`, i+1, after, k)
		after = &k
	}
	db.Exec(t, "UPDATE bbm.batched_background_migrations SET status = 'finished'")
}

func TestUnknownMigration(t *testing.T) {
	t.Parallel()
	_, err := invariants.Violations(t.Context(), pgtest.New(t).Conn(t), "nobody")
	require.ErrorContains(t, err, `no migration named "nobody"`)
}

func TestBeforeTheStart(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, "CREATE TABLE t (id int PRIMARY KEY, n int DEFAULT 0); INSERT INTO t VALUES (1); SELECT bbm.enqueue('bump', 't', name => 'm')")
	invariants.Check(t, db, "m")
	invariants.Counted(t, db, "m", "n")
	db.Exec(t, "UPDATE t SET n = 1")
	found, err := invariants.Miscounted(t.Context(), db.Conn(t), "m", "n")
	require.NoError(t, err)
	require.Len(t, found, 1)
}

var _ invariants.Querier = (*pgx.Conn)(nil)
