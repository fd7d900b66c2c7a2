package invariants_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/invariants"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func assertMatches(text, pattern string) bool { return regexp.MustCompile(pattern).MatchString(text) }

// Statements on the one job of a migration, as owner 7 or as who takes over from it.
const (
	claimed   = "INSERT INTO " + jobs + " (batched_background_migration_id, ordinal, min_value, max_value, batch_size, owner) SELECT id, 1, '1', '9', 9, 7 FROM bbm.batched_background_migrations;"
	carefully = "UPDATE " + jobs + " SET status = 'running', owner = 7, attempts = attempts + 1, careful = true;"
	finished  = "UPDATE " + jobs + " SET status = 'finished', owner = NULL, attempts = greatest(attempts, 1), finished_at = now();"
	givenBack = "UPDATE " + jobs + " SET status = 'pending', owner = NULL, attempts = attempts - careful::int, careful = false;"
	takenOver = "UPDATE " + jobs + " SET status = 'pending', owner = NULL, crashes = crashes + careful::int, error_message = CASE WHEN careful THEN 'its session ended' END;"
	dead      = "SELECT pg_advisory_xact_lock(7701, 7);"
	alive     = "SELECT pg_advisory_xact_lock_shared(7701, 7);"
)

func TestHistoryOfAJob(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		steps []string
		want  string // empty: it is legitimate
	}{
		{"finished at once", []string{claimed, finished}, ""},
		{"innocent of a crash", []string{claimed, dead + takenOver, carefully, finished}, ""},
		{"crashed twice", []string{claimed, dead + takenOver, carefully, dead + takenOver, carefully, dead + takenOver, carefully, finished}, ""},
		{"given back", []string{claimed, alive + givenBack, carefully, alive + givenBack, carefully, finished}, ""},
		{"finished twice", []string{claimed, finished, "UPDATE " + jobs + " SET status = 'pending'", carefully, finished}, `was finished 2 times`},
		{"finished and open again", []string{claimed, finished, "UPDATE " + jobs + " SET status = 'pending'"}, `left finished to be pending`},
		{"finished without a start", []string{claimed, dead + takenOver, finished}, `became finished from pending`},
		{"started without a count", []string{claimed, dead + takenOver, "UPDATE " + jobs + " SET status = 'running', owner = 7, careful = true"}, `its attempts went from 0 to 0`},
		{"blamed for the crash of others", []string{claimed, dead + "UPDATE " + jobs + " SET status = 'pending', owner = NULL, crashes = 1, error_message = 'x'", carefully, carefully, finished}, `crashes went from 0 to 1, from running \(careful: f\)`},
		{"a crash of the living", []string{claimed, dead + takenOver, carefully, alive + takenOver, carefully, finished}, `under the lock ShareLock`},
		{"a crash that nobody saw", []string{claimed, dead + takenOver, carefully, takenOver, carefully, finished}, `under the lock of nobody`},
		{"attempts lost in a take-over", []string{claimed, dead + takenOver, carefully, dead + "UPDATE " + jobs + " SET status = 'pending', owner = NULL, attempts = 0", carefully, finished}, `was taken over and its attempts went from 1 to 0`},
		{"robbed", []string{claimed, "UPDATE " + jobs + " SET owner = 8", finished}, `changed its owner from 7 to 8`},
		{"attempts made up", []string{claimed, "UPDATE " + jobs + " SET status = 'finished', owner = NULL, attempts = 3"}, `is finished after 3 attempts instead of 1`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			invariants.Record(t, db)
			db.Exec(t, `CREATE TABLE t (id bigint PRIMARY KEY);
				INSERT INTO bbm.batched_background_migrations (name, job_signature_name, table_name) VALUES ('m', 'bump', 'public.t');
				UPDATE bbm.batched_background_migrations SET status = 'running', table_oid = 't'::regclass, key_columns = '{id}', key_types = '{bigint}', min_value = '1', max_value = '9'`)
			for _, step := range tt.steps {
				db.Exec(t, step) // one transaction
			}
			found, err := invariants.Violations(t.Context(), db.Conn(t), "m")
			require.NoError(t, err)
			if tt.want == "" {
				require.Empty(t, found)
			} else {
				requireOne(t, found, tt.want)
			}
		})
	}
}
