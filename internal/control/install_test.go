package control_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// TestInstallSeesWhatWasInstalledWhileItWaited lets one session install the schema
// while another one, whose transaction began before, waits for the lock.
func TestInstallSeesWhatWasInstalledWhileItWaited(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	first, second := db.Conn(t), db.Conn(t)
	_, err := first.Exec(t.Context(), "SELECT pg_advisory_lock(7700, 0)")
	require.NoError(t, err)
	installed := make(chan error, 1)
	go func() { installed <- control.Install(t.Context(), second, "") }()
	db.WaitFor(t, "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND pid = $1)", second.PgConn().PID())
	require.NoError(t, control.Install(t.Context(), first, ""))
	_, err = first.Exec(t.Context(), "SELECT pg_advisory_unlock(7700, 0)")
	require.NoError(t, err)
	require.NoError(t, <-installed)
}
