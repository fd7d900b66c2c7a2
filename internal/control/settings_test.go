package control_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestProductionMark(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	conn, store := db.Conn(t), control.Store{}

	mark, running, err := store.Production(t.Context(), conn)
	require.NoError(t, err)
	require.Nil(t, mark)
	require.False(t, running)
	begin(t, db)
	_, running, err = store.Production(t.Context(), conn)
	require.NoError(t, err)
	require.True(t, running)

	db.Exec(t, "SELECT bbm.mark_production('customers')")
	db.Exec(t, "SELECT bbm.mark_production()") // keeps the note
	mark, _, err = store.Production(t.Context(), conn)
	require.NoError(t, err)
	require.Equal(t, "customers", mark.Note)
	require.Equal(t, pgtest.One[string](t, db, "SELECT session_user::text"), mark.Who)

	require.NoError(t, store.UnmarkProduction(t.Context(), conn))
	mark, _, err = store.Production(t.Context(), conn)
	require.NoError(t, err)
	require.Nil(t, mark)
	require.NoError(t, store.MarkProduction(t.Context(), conn, ""))
	mark, _, err = store.Production(t.Context(), conn)
	require.NoError(t, err)
	require.Empty(t, mark.Note)
}

func TestTokenIsConsumedOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	conn, store := db.Conn(t), control.Store{}

	for _, wanted := range []bool{true, false} {
		first, err := store.ConsumeToken(t.Context(), conn, "true", 1, "here")
		require.NoError(t, err)
		require.Equal(t, wanted, first)
		consumed, err := store.TokenConsumed(t.Context(), conn, "true")
		require.NoError(t, err)
		require.True(t, consumed)
	}
	require.NoError(t, store.ReleaseToken(t.Context(), conn, "true"))
	consumed, err := store.TokenConsumed(t.Context(), conn, "true")
	require.NoError(t, err)
	require.False(t, consumed)
}

func file(version, sum string) control.AppliedFile {
	return control.AppliedFile{Version: version, File: version + ".sql", Checksum: sum}
}

func TestChecksumsOfOthersDoNotReplaceOurs(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	conn, store := db.Conn(t), control.Store{}
	sums := func() map[string]string {
		applied, err := store.Applied(t.Context(), conn, "goose")
		require.NoError(t, err)
		sums := map[string]string{}
		for version, file := range applied {
			require.Equal(t, version, file.Version)
			sums[version] = file.Checksum
		}
		return sums
	}
	require.NoError(t, store.RecordApplied(t.Context(), conn, "goose", 0, []control.AppliedFile{file("1", "a"), file("2", "b")}))
	require.NoError(t, store.RecordApplied(t.Context(), conn, "goose", 0, []control.AppliedFile{file("1", "other")}))
	require.NoError(t, store.RecordApplied(t.Context(), conn, "goose", 7, []control.AppliedFile{file("2", "new")}))
	require.NoError(t, store.RecordApplied(t.Context(), conn, "alembic", 7, []control.AppliedFile{file("1", "x")}))
	require.NoError(t, store.RecordApplied(t.Context(), conn, "goose", 7, nil))
	require.Equal(t, map[string]string{"1": "a", "2": "new"}, sums())

	require.NoError(t, store.ForgetApplied(t.Context(), conn, "goose", "1", "9"))
	require.Equal(t, map[string]string{"2": "new"}, sums())
	require.NoError(t, store.ForgetApplied(t.Context(), conn, "goose"))
	require.Empty(t, sums())
	require.NoError(t, store.ForgetAllApplied(t.Context(), conn))
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.applied"))
}

func TestSettingsWorkInASchemaOfAnotherName(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	conn, store := db.Conn(t), control.NewStore("My bbmd")
	require.NoError(t, control.Install(t.Context(), conn, "My bbmd"))

	require.NoError(t, store.MarkProduction(t.Context(), conn, ""))
	mark, _, err := store.Production(t.Context(), conn)
	require.NoError(t, err)
	require.NotNil(t, mark)
	id, err := store.BeginRun(t.Context(), conn, control.RunStart{Action: "stamp", StateBefore: "DIRTY", Plan: []byte("{}"), Host: "h"})
	require.NoError(t, err)
	runs, err := store.Runs(t.Context(), conn, 1)
	require.NoError(t, err)
	require.Equal(t, id, runs[0].ID)
}
