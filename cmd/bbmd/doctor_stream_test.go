package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

const fromTheLog = "BBMD_EVENTS=wal"

func TestDoctorOfEventsFromTheLog(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t).As(t, pgtest.Streamer)
	found, code := doctor(t, db.URL, fromTheLog)
	require.Equal(t, 0, code)
	require.Equal(t, "warn", found.one(t, "events").Status)
	require.Contains(t, found.one(t, "events").Hint, "bbmd init-control")

	require.Equal(t, 0, bbmd(t, databaseURL(db), "init-control").code)
	found, code = doctor(t, db.URL, fromTheLog)
	require.Equal(t, 0, code)
	require.Equal(t, "changes of bbm can be read from the write-ahead log", found.one(t, "events").Detail)
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM pg_publication"), "it changes nothing")

	link := newRole(t, db)
	db.Exec(t, "SELECT bbm.grant_role('"+db.Name+"', 'worker')")
	found, code = doctor(t, link, fromTheLog)
	require.Equal(t, 2, code)
	require.Equal(t, "fail", found.one(t, "events").Status)
	require.Contains(t, found.one(t, "events").Detail, "REPLICATION")
}

func TestDoctorOfAServerWithoutLogicalDecoding(t *testing.T) {
	t.Parallel()
	db := pgtest.NewServer(t, pgserver.Options{Settings: map[string]string{"wal_level": "replica"}}).New(t).As(t, pgtest.Streamer)
	found, code := doctor(t, db.URL, fromTheLog)
	require.Equal(t, 2, code)
	require.Contains(t, found.one(t, "events").Detail, "wal_level is replica")
	require.Equal(t, "do what it says, or set events: notify", found.one(t, "events").Hint)
}
