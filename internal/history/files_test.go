package history_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// directory is one of a test's own.
type directory struct {
	path string
	fs   fs.FS
}

func writeFiles(t *testing.T, files map[string]string) directory {
	t.Helper()
	path := t.TempDir()
	d := directory{path: path, fs: os.DirFS(path)}
	for name, content := range files {
		d.add(t, name, content)
	}
	return d
}

func (d directory) add(t *testing.T, name, content string) {
	t.Helper()
	path := filepath.Join(d.path, filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}
