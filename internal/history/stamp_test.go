package history_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/history"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// stamp stamps in a transaction of its own.
func stamp(t *testing.T, db *pgtest.Database, files history.Files, at history.Place, heads []string) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), db.Conn(t), func(tx pgx.Tx) error {
		return files.Stamp(t.Context(), tx, at, heads)
	})
	require.NoError(t, err)
}
