package pgserver_test

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/need"
)

const patience = 30 * time.Second

func TestServerEndsWithItsKilledOwner(t *testing.T) {
	t.Parallel()
	told, kill := startOwner(t, self(t), temporary, nil)
	session, err := pgx.Connect(t.Context(), told.URL)
	require.NoError(t, err)

	kill()

	_, err = session.WaitForNotification(t.Context())
	require.Error(t, err, "the session outlived the server's owner")
	requireGone(t, told)
}

func TestStartClearsWhatAKilledOwnerAndGuardLeft(t *testing.T) {
	t.Parallel()
	told, kill := startOwner(t, self(t), temporary, nil)
	require.NoError(t, syscall.Kill(told.Guard, syscall.SIGKILL))
	kill()

	start(t, pgserver.Options{})

	requireGone(t, told)
}

func TestDirIsFreeWhenItsOwnerWasKilled(t *testing.T) {
	t.Parallel()
	for name, alsoKilled := range map[string]func(owned) int{
		"owner":           func(owned) int { return 0 },
		"owner and guard": func(told owned) int { return told.Guard },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := reachable(t)
			told, kill := startOwner(t, self(t), dir, nil)
			conn, err := pgx.Connect(t.Context(), told.URL)
			require.NoError(t, err)
			_, err = conn.Exec(t.Context(), "CREATE TABLE kept AS SELECT 42 AS n")
			require.NoError(t, err)
			if pid := alsoKilled(told); pid != 0 {
				require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
			}
			kill()

			server := start(t, pgserver.Options{Dir: dir})

			require.Equal(t, "42", ask(t, server.URL("postgres"), "SELECT n::text FROM kept"))
			require.NoError(t, conn.Close(t.Context()))
		})
	}
}

func TestStartLeavesTheServersOfTheLivingAlone(t *testing.T) {
	t.Parallel()
	first := start(t, pgserver.Options{})
	told, _ := startOwner(t, self(t), temporary, nil)

	start(t, pgserver.Options{})

	require.Equal(t, "1", ask(t, first.URL("postgres"), "SELECT '1'"))
	require.Equal(t, "1", ask(t, told.URL, "SELECT '1'"))
}

func TestOrdinaryUserStartsAServer(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("all of these tests run as an ordinary user already")
	}
	nobody, err := user.Lookup("nobody")
	require.NoError(t, err)
	uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
	require.NoError(t, err)
	gid, err := strconv.ParseUint(nobody.Gid, 10, 32)
	require.NoError(t, err)

	told, kill := startOwner(t, openCopy(t), temporary, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}})
	require.Equal(t, "on", ask(t, told.URL, "SELECT current_setting('is_superuser')"))
	info, err := os.Stat(told.RunPath)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	kill()
	requireGone(t, told)
}

// requireGone waits until nothing is left of a server.
func requireGone(t *testing.T, told owned) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := os.Lstat(told.RunPath)
		return errors.Is(err, os.ErrNotExist) && !running(told.Server) && !running(told.Guard)
	}, patience, 10*time.Millisecond, "left over: %+v", told)
}

// running tells whether a process runs. One that has ended and that the
// system's first process has not taken yet does not.
func running(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	return err != nil && !errors.Is(err, os.ErrNotExist) || len(stat) > 0
}

// self returns the path of this program.
func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	return path
}

// openCopy copies this program to where every user can run it.
func openCopy(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "bbmd-test-") //nolint:usetesting // others cannot enter t.TempDir
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o711))
	program, err := os.ReadFile(self(t))
	require.NoError(t, err)
	owner := filepath.Join(dir, "owner")
	need.Executable(t, owner, program)
	return owner
}
