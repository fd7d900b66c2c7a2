package await_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/await"
)

func TestParseGoals(t *testing.T) {
	t.Parallel()
	goals, err := await.ParseGoals(nil)
	require.NoError(t, err)
	require.Equal(t, []await.Goal{{Kind: await.Schema}}, goals)
	goals, err = await.ParseGoals([]string{"all", "version=7", "migration=a=b"})
	require.NoError(t, err)
	require.Equal(t, []await.Goal{{Kind: await.All}, {Kind: await.Version, Name: "7"}, {Kind: await.Migration, Name: "a=b"}}, goals)
	for _, text := range []string{"", "schema=", "all=1", "version", "version= ", "migration=", "Schema"} {
		_, err = await.ParseGoals([]string{text})
		require.ErrorContains(t, err, "cannot be waited for", text)
	}
}

func FuzzParseGoal(f *testing.F) {
	for _, seed := range []string{"schema", "all", "version=1", "migration= a = b", "=", "version=\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		goal, err := await.ParseGoal(text)
		if err != nil {
			return
		}
		again, err := await.ParseGoal(goal.String())
		require.NoError(t, err)
		require.Equal(t, goal, again)
	})
}

func TestGrace(t *testing.T) {
	t.Parallel()
	failure := func(key string) *await.FailedError { return &await.FailedError{Failure: await.Failure{Key: key}} }
	g := await.Grace{For: time.Hour}
	_, over := g.Left(nil)
	require.False(t, over)
	first, over := g.Left(failure("a"))
	require.False(t, over)
	second, _ := g.Left(failure("a"))
	require.Less(t, second, first, "it is the same one")
	third, _ := g.Left(failure("b"))
	require.Greater(t, third, second, "another one is new")
	none := await.Grace{For: -1}
	_, over = none.Left(failure("a"))
	require.True(t, over)
}

func TestFailuresSayWhatIsKnown(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	err := &await.FailedError{Database: "shop", Failure: await.Failure{
		Run: 7, What: "run 7 failed at migrate 3 note", Message: `type "txet" does not exist`, SQLState: "42704",
		File: "migrations/00003_note.sql", Line: 3, Hint: "No operator matches.", Host: "web-1", At: at,
	}}
	require.Equal(t, `database shop: run 7 failed at migrate 3 note: type "txet" does not exist (SQLSTATE 42704)
in migrations/00003_note.sql:3
hint: No operator matches.
run 7 on web-1, at 2026-01-31T12:00:00Z`, err.Error())
	err.Message = "migrations/00003_note.sql:3: ERROR: … (SQLSTATE 42704): No operator matches"
	require.Equal(t, "database shop: run 7 failed at migrate 3 note: "+err.Message+"\nrun 7 on web-1, at 2026-01-31T12:00:00Z", err.Error())
}
