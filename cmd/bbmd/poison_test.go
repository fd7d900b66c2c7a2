package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// Three rows of many cannot be processed, however small their batch is: a
// migration that may set three aside finishes, with exactly these in quarantine and every other
// row changed once.
func TestPoisonRowsAmongMany(t *testing.T) {
	t.Parallel()
	const rows = 150_000
	db := users(t, rows)
	db.Exec(t, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'row % is poison', OLD.id USING ERRCODE = '22000'; END $$;
		CREATE TRIGGER refuse BEFORE UPDATE ON users FOR EACH ROW WHEN (OLD.id IN (1, 77777, 150000)) EXECUTE FUNCTION refuse()`)
	require.Zero(t, on(t, db, "enqueue", "execute_sql", "users", "--name", "m", "--set", addOne, "--max-attempts", "1", "--max-quarantined", "3", "--parallelism", "2").code)

	got := on(t, db, "finalize", "m")
	require.Zero(t, got.code, got.err)
	require.Equal(t, []string{"1 22000", "150000 22000", "77777 22000"}, pgtest.Column[string](t, db, "SELECT key || ' ' || error_sqlstate FROM bbm.quarantine ORDER BY key"))
	require.Equal(t, rows-3, pgtest.One[int](t, db, "SELECT count(*) FROM users WHERE n = 1"))
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM users WHERE n <> (id NOT IN (1, 77777, 150000))::int"))

	p := decode[control.Detail](t, on(t, db, "status", "m", "-o", "json").out)
	require.Equal(t, int64(3), p.Quarantined)
	require.InDelta(t, 100, p.Percent, 0.001)
	require.Contains(t, on(t, db, "status", "m").out, "3 rows were set aside, failing also alone")

	db.Exec(t, "DROP TRIGGER refuse ON users; SELECT bbm.retry_quarantined('m')")
	require.Zero(t, on(t, db, "finalize", "m").code)
	require.Equal(t, rows, pgtest.One[int](t, db, "SELECT count(*) FROM users WHERE n = 1"))
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.quarantine"))
}
