package daemon_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// TestANewerDatabaseIsAccepted has the release before migrate, as its Job does after a roll-back.
func TestANewerDatabaseIsAccepted(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	_, err := daemon.Migrate(t.Context(), configWith(db, twoSteps(t).schema()), daemon.SchemaOptions{})
	require.NoError(t, err)
	before := configWith(db, newProject(t).migration(1, "CREATE TABLE users (id bigint);").schema())
	_, err = daemon.Migrate(t.Context(), before, daemon.SchemaOptions{})
	require.ErrorContains(t, err, "AHEAD")
	outcomes, err := daemon.Migrate(t.Context(), before, daemon.SchemaOptions{AcceptNewer: true})
	require.NoError(t, err)
	require.True(t, outcomes[0].Newer)
	require.Equal(t, "goose_db_version orders users", tables(t, db))

	// What else is refused stays so.
	_, err = daemon.Migrate(t.Context(), configWith(db, twoSteps(t).migration(1, "CREATE TABLE users (id bigint, name text);").schema()), daemon.SchemaOptions{AcceptNewer: true})
	require.ErrorContains(t, err, "changed after it was applied")
}
