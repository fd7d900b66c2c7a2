package initialize_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/testing/fakepooler"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestTransactionPoolerIsRefused(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]fakepooler.Mode{"in turn": fakepooler.InTurn, "last one first": fakepooler.LastUsed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t)
			s.write(t, two)
			direct := s.spec.Connect
			pooled := fakepooler.Start(t, s.URL, mode)
			s.spec.Connect = func(ctx context.Context, application, database string) (*pgx.Conn, error) {
				return connect(ctx, pooled, application, database)
			}
			_, err := initialize.Apply(t.Context(), s.spec)
			refused(t, err, initialize.RefusedPooler)
			require.Empty(t, s.tables(t))
			require.Zero(t, pgtest.One[int](t, s.Database, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 7704 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"), "nothing is left in the pooler's sessions")

			s.spec.Connect = direct
			s.apply(t)
		})
	}
}
