package main_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	main "github.com/bbmd-dev/bbmd/internal/pgserver/provide"
)

const (
	fakeAptGet = "#!/bin/sh\n" + `echo "$DEBIAN_FRONTEND $*" >> "${0%/*}/calls"` + "\n"
	fakeSudo   = "#!/bin/sh\n" + `[ "$1" = -n ] && shift && exec "$@"` + "\n"
)

func TestPackageIsInstalledWithoutAQuestion(t *testing.T) { //nolint:paralleltest // it sets the environment
	dir := onlyPrograms(t, map[string]string{"apt-get": fakeAptGet, "sudo": fakeSudo})

	require.NoError(t, main.InstallPackage(t.Context(), io.Discard))

	calls, err := os.ReadFile(filepath.Join(dir, "calls"))
	require.NoError(t, err)
	require.Equal(t, "noninteractive update -q\nnoninteractive install -q -y --no-install-recommends postgresql\n", string(calls))
}

func TestPackageSaysWhyNot(t *testing.T) { //nolint:paralleltest // it sets the environment
	onlyPrograms(t, nil)
	require.ErrorContains(t, main.InstallPackage(t.Context(), io.Discard), "there is no apt-get")

	onlyPrograms(t, map[string]string{"apt-get": "#!/bin/sh\nexit 100\n", "sudo": fakeSudo})
	require.ErrorContains(t, main.InstallPackage(t.Context(), io.Discard), "exit status 100")

	if os.Geteuid() != 0 {
		onlyPrograms(t, map[string]string{"apt-get": fakeAptGet, "sudo": "#!/bin/sh\nexit 1\n"})
		require.ErrorContains(t, main.InstallPackage(t.Context(), io.Discard), "neither root nor a sudo")
	}
}

// onlyPrograms makes a PATH of these programs alone, and the few that are
// everywhere.
func onlyPrograms(t *testing.T, programs map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{"env", "true"} {
		require.NoError(t, os.Symlink(filepath.Join("/usr/bin", name), filepath.Join(dir, name)))
	}
	for name, content := range programs {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755))
	}
	t.Setenv("PATH", dir)
	return dir
}
