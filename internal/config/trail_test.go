package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
)

func TestTrail(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	in := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.MkdirAll(in("a/b"), 0o700))
	writeFile(t, in("a/b/file"), "")
	for link, target := range map[string]string{"up": "a/../a", "a/link": "b/file", "absolute": in("a"), "loop": "loop", "hanging": "gone/file"} {
		require.NoError(t, os.Symlink(target, in(link)))
	}
	tests := map[string][]string{
		"a/b/file":        {"a/b/file"},
		"a/link":          {"a/link", "a/b/file"},
		"up/link":         {"up", "a/link", "a/b/file"},
		"absolute/b/file": {"absolute", "a/b/file"},
		"gone/b/file":     {"gone"},
		"a/gone":          {"a/gone"},
		"hanging":         {"hanging", "gone"},
	}
	for path, want := range tests {
		for i := range want {
			want[i] = in(want[i])
		}
		require.Equal(t, want, config.Trail(in(path)), path)
	}
	require.NotEmpty(t, config.Trail(in("loop")), "it ends")
}
