package pgtest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestNewHasTheControlSchema(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.batched_background_migrations"))
}
