package initialize_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/history"
	"github.com/bbmd-dev/bbmd/internal/initialize"
)

func TestVerifyPassesWhatTheCodeCanRunOn(t *testing.T) {
	t.Parallel()
	spec := initialize.Spec{Database: "db", Migrations: "m"}
	seen := func(applied ...string) initialize.Seen {
		return initialize.Seen{Records: []history.Record{record(history.Goose, "goose_db_version", applied...)}, Objects: objects("t")}
	}
	verify := func(s initialize.Spec, seen initialize.Seen, n int) error {
		return initialize.VerifyFinding(s, initialize.Conclude(s, files(n), seen))
	}

	require.NoError(t, verify(spec, seen("1", "2"), 2))
	require.NoError(t, verify(spec, seen("1", "2", "3"), 2), "ahead")
	for name, err := range map[string]error{
		"pending":      verify(spec, seen("1"), 2),
		"out of order": verify(spec, seen("2"), 2),
		"unversioned":  verify(spec, seen(), 2),
		"empty":        verify(spec, initialize.Seen{}, 2),
		"missing":      verify(spec, initialize.Seen{Missing: true}, 2),
	} {
		var pending *initialize.PendingError
		require.ErrorAs(t, err, &pending, name)
		require.Equal(t, initialize.KindPending, initialize.KindOf(err), name)
		require.Contains(t, err.Error(), "bbmd migrate db", name)
	}
	err := verify(spec, seen("x"), 2)
	require.Equal(t, initialize.KindRefused, initialize.KindOf(err))
	require.Contains(t, err.Error(), "database db: UNKNOWN_REVISION: ")

	command := initialize.Spec{Database: "db", History: initialize.Command, Command: []string{"up"}}
	ran := initialize.Seen{Objects: objects("t"), Runs: []control.Run{{Outcome: control.OutcomeFinished}}}
	require.NoError(t, initialize.VerifyFinding(command, initialize.Conclude(command, nil, ran)))
	ran.Runs[0].Outcome = control.OutcomeFailed
	require.Error(t, initialize.VerifyFinding(command, initialize.Conclude(command, nil, ran)))
}

func TestSpecThatContradictsItself(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spec initialize.Spec
		says string
	}{
		"nothing":      {initialize.Spec{}, "no schema is configured"},
		"two models":   {initialize.Spec{Models: initialize.Models{Path: "a", Command: []string{"b"}}}, "both a path and a command"},
		"no models":    {initialize.Spec{Migrations: "m", Bootstrap: initialize.FromModels}, "bootstrap is models"},
		"no history":   {initialize.Spec{Models: initialize.Models{Path: "a"}, Bootstrap: initialize.FromMigrations}, "bootstrap is migrations"},
		"no command":   {initialize.Spec{History: initialize.Command}, "history is command"},
		"no directory": {initialize.Spec{History: history.Goose, Models: initialize.Models{Path: "a"}}, "there is no directory"},
		"baseline":     {initialize.Spec{Baseline: "1", Models: initialize.Models{Path: "a"}}, "baseline_version"},
	} {
		test.spec.Database = "db"
		err := test.spec.Validate()
		require.ErrorContains(t, err, test.says, name)
		require.Equal(t, initialize.KindConfig, initialize.KindOf(err), name)
	}
	require.NoError(t, initialize.Spec{Migrations: "m"}.Validate())
}

func TestConnectionStringsOfShadows(t *testing.T) {
	t.Parallel()
	for conn, want := range map[string]string{
		"postgres://u:p%40@h:5433/app?sslmode=disable": "postgres://u:p%40@h:5433/shadow%20x?sslmode=disable",
		"postgresql://u@/app?host=/run&dbname=app":     "postgresql://u@/shadow%20x?host=%2Frun",
		"postgres://h": "postgres://h/shadow%20x",
		"postgres://u:p@h1:1,h2:2/app?target_session_attrs=primary": "postgres://u:p@h1:1,h2:2/shadow%20x?target_session_attrs=primary",
		"host=h dbname=app password='a b'":                          "host=h dbname=app password='a b' dbname='shadow x'",
	} {
		got, err := initialize.InDatabase(conn, "shadow x")
		require.NoError(t, err)
		require.Equal(t, want, got)
		parsed, err := pgx.ParseConfig(got)
		require.NoError(t, err)
		require.Equal(t, "shadow x", parsed.Database)
	}
	got, err := initialize.InDatabase("postgresql+asyncpg://u:p@h/app?ssl=require", "shadow")
	require.NoError(t, err)
	require.Equal(t, "postgresql+asyncpg://u:p@h/shadow?ssl=require", got) // a Python program reads it
	_, err = initialize.InDatabase("host=h password=secret port=x", "s")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
}
