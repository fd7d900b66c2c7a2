package pgtest_test

import (
	"testing"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestNewHasTheControlSchema(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.batched_background_migrations"))
}
