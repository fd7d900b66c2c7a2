package pgserver_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/need"
)

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for output, want := range map[string]struct {
		version string
		major   int
	}{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)": {"15.18", 15},
		"postgres (PostgreSQL) 18beta1\n":                      {"18beta1", 18},
		"postgres (PostgreSQL) 9.6.24":                         {"9.6.24", 9},
		"postgres (PostgreSQL) 99999999999999999999":           {"99999999999999999999", 0},
		"something else\n":                                     {"something else", 0},
		"":                                                     {"", 0},
	} {
		version, major := pgserver.ParseVersion(output)
		require.Equal(t, want.version, version, output)
		require.Equal(t, want.major, major, output)
	}
}

func TestInstallDirsAreNewestFirst(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, dir := range []string{"usr/lib/postgresql/9.6/bin", "usr/lib/postgresql/17/bin", "usr/lib/postgresql/15/bin", "usr/pgsql-16/bin"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}

	require.Equal(t, []string{
		filepath.Join(root, "usr/lib/postgresql/17/bin"),
		filepath.Join(root, "usr/lib/postgresql/15/bin"),
		filepath.Join(root, "usr/lib/postgresql/9.6/bin"),
		filepath.Join(root, "usr/pgsql-16/bin"),
	}, pgserver.InstallDirs(root))
}

func TestFirstThatWorksIsTaken(t *testing.T) {
	t.Parallel()
	nothing, broken, old, good := reachable(t), reachable(t), reachable(t), reachable(t)
	fake(t, broken, "echo no library >&2; exit 127")
	fake(t, old, "echo 'postgres (PostgreSQL) 9.6.24'")
	fake(t, good, "echo 'postgres (PostgreSQL) 17.2'")

	binaries, err := pgserver.FirstOf(t.Context(), 0, []string{nothing, broken, old, good})
	require.NoError(t, err)
	require.Equal(t, pgserver.Binaries{Dir: good, Version: "17.2", Major: 17}, binaries)
	_, ok := binaries.Path("pgbench")
	require.False(t, ok)

	_, err = pgserver.FirstOf(t.Context(), 0, []string{nothing, broken, old})
	require.ErrorContains(t, err, "no PostgreSQL server")
	require.ErrorContains(t, err, pgserver.EnvBin)
	require.ErrorContains(t, err, "no library")
	require.ErrorContains(t, err, `version "9.6.24"`)
}

func TestTheWantedVersionIsTaken(t *testing.T) {
	t.Parallel()
	newer, wanted := reachable(t), reachable(t)
	fake(t, newer, "echo 'postgres (PostgreSQL) 18.4'")
	fake(t, wanted, "echo 'postgres (PostgreSQL) 13.23'")

	binaries, err := pgserver.FirstOf(t.Context(), 13, []string{newer, wanted})
	require.NoError(t, err)
	require.Equal(t, pgserver.Binaries{Dir: wanted, Version: "13.23", Major: 13}, binaries)

	_, err = pgserver.FirstOf(t.Context(), 16, []string{newer, wanted})
	require.ErrorContains(t, err, "no PostgreSQL server (version 16) found")
	require.ErrorContains(t, err, newer+`/postgres is version "18.4", 16 is wanted`)
}

func TestVersionsAreWantedByNumber(t *testing.T) {
	for value, want := range map[string]int{"": 0, "cache": 0, "/usr/bin": 0, "13": 13, "18": 18} {
		t.Setenv(pgserver.EnvBin, value)
		wanted, err := pgserver.Wanted()
		require.NoError(t, err)
		require.Equal(t, want, wanted, value)
	}

	t.Setenv(pgserver.EnvBin, "12")
	_, err := pgserver.Find(t.Context())
	require.ErrorContains(t, err, "13 or later is needed")
	t.Setenv(pgserver.EnvBin, "9999")
	_, err = pgserver.Find(t.Context())
	require.ErrorContains(t, err, "no PostgreSQL server (version 9999) found")
}

func TestFindObeysTheEnvironment(t *testing.T) {
	dir := reachable(t)
	fake(t, dir, "echo 'postgres (PostgreSQL) 17.2'")
	t.Setenv("PGBIN", "/nowhere")
	t.Setenv(pgserver.EnvBin, dir)
	binaries, err := pgserver.Find(t.Context())
	require.NoError(t, err)
	require.Equal(t, dir, binaries.Dir)

	t.Setenv(pgserver.EnvBin, "")
	_, err = pgserver.Find(t.Context())
	require.ErrorContains(t, err, "PGBIN: /nowhere/postgres is not a program")
}

// fake makes programs that do what the script says.
func fake(t *testing.T, dir, script string) {
	t.Helper()
	for _, program := range []string{"postgres", "initdb", "pg_ctl"} {
		content := fmt.Appendf(nil, "#!/bin/sh\n%s\n", script)
		need.Executable(t, filepath.Join(dir, program), content)
	}
}
