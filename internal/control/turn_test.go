package control_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// Migrations so far behind that no executor has looked at them say so all the same.
func TestWhoIsFarBehindSaysWhyNothingMoves(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, "CREATE TABLE t (id bigint PRIMARY KEY)")
	read := func(names ...string) map[string]string {
		all, err := control.Store{}.Progress(t.Context(), db.Conn(t), control.Selection{Names: names})
		require.NoError(t, err)
		reasons := map[string]string{}
		for i := range all {
			reasons[all[i].Name] = ""
			if all[i].Reason != nil {
				reasons[all[i].Name] = *all[i].Reason
			}
		}
		return reasons
	}
	enqueue := func(name string, priority int) {
		db.Exec(t, "SELECT bbm.enqueue('w', 't', name => $1, priority => $2)", name, priority)
	}
	enqueue("c", 7)
	require.Equal(t, map[string]string{"c": ""}, read(), "nobody is before it: nobody has looked")
	startMigration(t, db, "running")
	enqueue("a", 5)
	enqueue("b", 6)
	enqueue("told", 8)
	enqueue("paused", 9)
	enqueue("finished", 1)
	db.Exec(t, "UPDATE bbm.batched_background_migrations SET status_reason = 'waits for a' WHERE name = 'told'")
	db.Exec(t, "SELECT bbm.pause('paused'); SELECT bbm.cancel('finished')")

	require.Equal(t, map[string]string{
		"running": "",
		"a":       "waits for its turn: 1 other is before it",
		"b":       "waits for its turn: 2 others are before it",
		"c":       "waits for its turn: 3 others are before it",
		"told":    "waits for a",
	}, read("running", "a", "b", "c", "told"))
	require.Equal(t, map[string]string{"c": "waits for its turn: 3 others are before it"}, read("c"), "however many are listed")
	require.True(t, control.OfDaemon(read("c")["c"]), "where there is none, that is the reason")
	require.Equal(t, read("a", "paused", "finished")["a"], read()["a"])
}
