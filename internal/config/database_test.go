package config_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
)

func TestConnStringReadsTheFileEachTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "secret")
	writeFile(t, path, "postgres://app:one@h/db\n")
	writeFile(t, filepath.Join(dir, "bbmd.yaml"), "databases: {default: {url_file: secret, listen_url: host=direct}}")
	cfg, err := config.Load(config.Sources{File: filepath.Join(dir, "bbmd.yaml"), Environ: []string{}})
	require.NoError(t, err)
	db := cfg.Databases["default"]
	require.Equal(t, path, db.URLFile, "a relative path starts at the file's directory")

	conn, err := db.ConnString()
	require.NoError(t, err)
	require.Equal(t, "postgres://app:one@h/db", conn)
	writeFile(t, path, "postgres://app:two@h/db")
	conn, err = db.ConnString()
	require.NoError(t, err)
	require.Equal(t, "postgres://app:two@h/db", conn)
	conn, err = db.ListenConnString()
	require.NoError(t, err)
	require.Equal(t, "host=direct", conn)
	conn, err = config.Database{URLFile: path}.ListenConnString()
	require.NoError(t, err)
	require.Equal(t, "postgres://app:two@h/db", conn)
}

func TestConnStringErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty, wrong := filepath.Join(dir, "empty"), filepath.Join(dir, "wrong")
	writeFile(t, empty, "\n")
	writeFile(t, wrong, "postgres://app:hunter2@h:port/db")
	for path, want := range map[string]string{
		filepath.Join(dir, "gone"):         "gone: no such file or directory",
		empty:                              "it is empty; write the connection string into it",
		wrong:                              "it is not a connection string",
		"postgres://app:hunter2@h/db":      "it holds a connection string, where the path of a file belongs; use url",
		"host=h user=app password=hunter2": "it holds a connection string, where the path of a file belongs; use url",
	} {
		_, err := config.Database{URLFile: path}.ConnString()
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestConnStringIsEmptyForLibpq(t *testing.T) {
	t.Parallel()
	conn, err := config.Database{}.ConnString()
	require.NoError(t, err)
	require.Empty(t, conn)
}
