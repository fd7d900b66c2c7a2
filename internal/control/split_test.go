package control_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// Halves of a job that was split have its error, and are known not to be tried yet until they are.
func TestHalvesAreUntried(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	startMigration(t, db, "m")
	claimJobs(t, db, 1)
	store, conn := control.Store{}, db.Conn(t)
	untried := func() map[string]bool {
		jobs, err := store.OpenJobs(t.Context(), conn, 1, 10)
		require.NoError(t, err)
		is := map[string]bool{}
		for _, j := range jobs {
			is[j.Max] = j.Untried()
			if j.Status != "running" {
				require.Equal(t, "as a whole", *j.Error)
			}
		}
		return is
	}
	require.Equal(t, map[string]bool{"1": false}, untried(), "it runs")
	whole := pgtest.One[int64](t, db, "SELECT id FROM bbm.batched_background_migration_jobs")
	lower, err := store.Split(t.Context(), conn, whole, owner, control.Middle{Rows: 2, Mid: new("0"), Next: new("1")}, 1, control.Failure{Message: "as a whole"})
	require.NoError(t, err)
	require.NotZero(t, lower)
	require.Equal(t, map[string]bool{"0": true, "1": true}, untried())

	job, err := store.ClaimCarefully(t.Context(), conn, 1, owner)
	require.NoError(t, err)
	require.Equal(t, "1", job.End)
	require.Equal(t, map[string]bool{"0": true, "1": false}, untried())
	_, err = store.GiveBack(t.Context(), conn, 1, owner)
	require.NoError(t, err)
	require.Equal(t, map[string]bool{"0": true, "1": false}, untried(), "it was tried")
}
