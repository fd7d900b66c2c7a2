package debian_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/debian"
	"github.com/bbmd-dev/bbmd/testing/need"
)

const (
	fakeAptGet = "#!/bin/sh\n" + `echo "$DEBIAN_FRONTEND $*" >> "${0%/*}/calls"` + "\n"
	fakeSudo   = "#!/bin/sh\n" + `[ "$1" = -n ] && shift && exec "$@"` + "\n"
)

func TestPackagesAreInstalledWithoutAQuestion(t *testing.T) { //nolint:paralleltest // it sets the environment
	for name, apt := range map[string]string{"": fakeAptGet, "a source does not answer": fakeAptGet + `case "$*" in *update) exit 100;; esac`} {
		dir := onlyPrograms(t, map[string]string{"apt-get": apt, "sudo": fakeSudo})

		require.NoError(t, debian.Install(t.Context(), io.Discard, "one", "two"), name)

		calls, err := os.ReadFile(filepath.Join(dir, "calls"))
		require.NoError(t, err)
		require.Equal(t, "noninteractive -q -o DPkg::Lock::Timeout=600 update\n"+
			"noninteractive -q -o DPkg::Lock::Timeout=600 install -y --no-install-recommends one two\n", string(calls), name)
	}
}

func TestInstallSaysWhyNot(t *testing.T) { //nolint:paralleltest // it sets the environment
	onlyPrograms(t, nil)
	require.ErrorContains(t, debian.Install(t.Context(), io.Discard, "one"), "there is no apt-get")

	onlyPrograms(t, map[string]string{"apt-get": "#!/bin/sh\nexit 100\n", "sudo": fakeSudo})
	require.ErrorContains(t, debian.Install(t.Context(), io.Discard, "one"), "exit status 100")

	if os.Geteuid() != 0 {
		onlyPrograms(t, map[string]string{"apt-get": fakeAptGet, "sudo": "#!/bin/sh\nexit 1\n"})
		require.ErrorContains(t, debian.Install(t.Context(), io.Discard, "one"), "neither root nor a sudo")
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
		need.Executable(t, filepath.Join(dir, name), []byte(content))
	}
	t.Setenv("PATH", dir)
	return dir
}
