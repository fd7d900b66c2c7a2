package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
)

func TestDatabaseNamesNeedNoConnection(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, service := range []string{"auth", "order-items"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "services", service, "migrations"), 0o700))
	}
	file := filepath.Join(dir, "bbmd.yaml")
	content := "discover: services\nnonsense: 1\ndatabases:\n  billing: {url: \"${BILLING_DATABASE_URL}\"}\n"
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	sources := config.Sources{File: file, Environ: []string{"X_DATABASE_URL=postgres://h/x", "BBMD_DATABASES__FROM_ENV__URL=postgres://h/y"}}

	require.Equal(t, []string{"auth", "billing", "from_env", "order-items"}, config.DatabaseNames(sources))
	path, err := sources.Path()
	require.NoError(t, err)
	require.Equal(t, file, path)
	value, set := sources.Lookup("X_DATABASE_URL")
	require.True(t, set)
	require.Equal(t, "postgres://h/x", value)
	require.Equal(t, []string{"ORDER_ITEMS_DATABASE_URL"}, config.DatabaseVariables("order-items"))
	require.Equal(t, "DATABASE_URL", config.DatabaseVariables(config.DefaultDatabase)[0])

	require.Empty(t, config.DatabaseNames(config.Sources{File: filepath.Join(dir, "none.yaml"), Environ: []string{}}))
}
