package throttle_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/throttle"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestBlockedLetsWaitersThrough(t *testing.T) {
	t.Parallel()
	for _, privileged := range []bool{true, false} {
		name := map[bool]string{true: "as superuser", false: "without privileges"}[privileged]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.NewEmpty(t)
			db.Exec(t, "CREATE TABLE t AS SELECT 1 AS n")
			address := db.URL
			if !privileged {
				address, _ = asRole(t, db)
			}
			sampler := onServer(t, address, only("blocked"))
			worker := session(t, withApplication(t, db.URL, "bbmd/db/m"))
			mine := begin(t, sampler, throttle.Scope{Migration: "mine"})
			mine.Backends(int32(worker.PgConn().PID()))
			other := begin(t, sampler, throttle.Scope{Migration: "other"})
			until(t, mine, throttle.Go, "")
			until(t, other, throttle.Go, "")

			_, err := worker.Exec(t.Context(), "BEGIN; UPDATE t SET n = 2")
			require.NoError(t, err)
			inBackground(t, withApplication(t, db.URL, "web"), "UPDATE t SET n = 3")
			until(t, mine, throttle.Stop, "1 session waiting for a lock of this migration (pid")
			require.Contains(t, mine.Verdict().Reason, "web")
			require.Equal(t, throttle.Go, other.Verdict().Action)

			_, err = worker.Exec(t.Context(), "COMMIT")
			require.NoError(t, err)
			until(t, mine, throttle.Go, "")
		})
	}
}

func TestBlockedSchemaMigrationsCountAndWorkersDoNot(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	db.Exec(t, "CREATE TABLE t AS SELECT 1 AS n")
	a := begin(t, onServer(t, db.URL, only("blocked")), throttle.Scope{Migration: "m"})
	worker := session(t, withApplication(t, db.URL, "bbmd/db/m"))
	a.Backends(int32(worker.PgConn().PID()))
	_, err := worker.Exec(t.Context(), "BEGIN; UPDATE t SET n = 2; SELECT pg_advisory_xact_lock(5)")
	require.NoError(t, err)
	inBackground(t, withApplication(t, db.URL, "bbmd/db/m"), "SELECT pg_advisory_xact_lock(5)")
	db.WaitFor(t, "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))")
	until(t, a, throttle.Go, "")
	read := state(t, a, "blocked").Read
	reached(t, a, func(r throttle.Report) bool { return r.Signals[0].Read.After(read) })
	require.Equal(t, throttle.Go, a.Verdict().Action, "a worker that waits for another's claim")

	inBackground(t, withApplication(t, db.URL, "bbmd/db/migrate"), "ALTER TABLE t ADD COLUMN m int")
	until(t, a, throttle.Stop, "bbmd/db/migrate")
}
