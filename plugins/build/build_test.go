package build_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/plugins/build"
)

func TestWorksBelongToWhoBringsThem(t *testing.T) {
	t.Parallel()
	o := build.Options{Known: []string{"copy_column"}}
	for _, text := range []string{"example.com/a", "example.com/a/more@v1.2.3"} {
		m, err := build.ParseModule(text)
		require.NoError(t, err)
		o.With = append(o.With, m)
	}
	works, err := build.Sort(o, "one", "example.com/a", "two", "example.com/a/more/inner", "copy_column", "example.com/a", "three", "elsewhere.org/b")
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"example.com/a": {"one"}, "example.com/a/more": {"two"}}, works)

	_, err = build.Sort(o, "one", "example.com/a", "copy_column", "example.com/a/more")
	require.ErrorContains(t, err, "example.com/a/more registers no Work: let a func init of that very package call registry.Register")

	o.With = o.With[:1] // what a single one brings along is its own
	works, err = build.Sort(o, "three", "elsewhere.org/b")
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"example.com/a": {"three"}}, works)
}

func TestReplacements(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), nil, 0o600))
	r, err := build.ParseReplacement("example.com/a=" + dir)
	require.NoError(t, err)
	require.Equal(t, build.Replacement{Module: "example.com/a", By: dir}, r)
	r, err = build.ParseReplacement("example.com/a=example.com/fork@v1.2.3")
	require.NoError(t, err)
	require.Equal(t, "example.com/fork@v1.2.3", r.By)
	for _, text := range []string{"", "=", "example.com/a", "example.com/a=", "example.com/a@v1=" + dir, "a=" + dir, "example.com/a=" + filepath.Join(dir, "none")} {
		_, err := build.ParseReplacement(text)
		require.Error(t, err, text)
	}
}

// TestGoIsTheSame holds what the built module asks for against this repository.
func TestGoIsTheSame(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	require.Contains(t, string(content), "\ngo "+build.LeastGo+"\n")
}
