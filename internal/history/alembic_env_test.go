package history_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/history"
)

func TestAlembicsOwnVersionTableIsSeen(t *testing.T) {
	t.Parallel()
	for env, want := range map[string]bool{
		"context.configure(connection=c)":                                                   false,
		"context.configure(connection=c, version_table='svc_version')":                      true,
		"context.configure(\n    connection=c,\n    version_table_schema=settings.schema)":  true,
		"options = {'version_table': NAME}":                                                 true,
		"context.configure(version_table_pk=False)":                                         false,
		"context.configure(version_table = \"alembic_version\", version_table_schema=None)": false,
		"context.configure(version_table='alembic_version', version_table_schema='meta')":   true,
		"# version_table='x'\nif name == 'version_table': pass\nassert version_table == 1":  false,
	} {
		dir := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "m", "versions"), 0o700))
		for name, content := range map[string]string{
			"alembic.ini": "[alembic]\nscript_location = m\n", "m/env.py": env, "m/versions/a1.py": "revision = 'a1'\ndown_revision = None\n",
		} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
		}
		files, err := history.Open(filepath.Join(dir, "m"), history.Alembic, history.Options{WorkDir: dir})
		require.NoError(t, err)
		settings, ok := history.Settings(files)
		require.True(t, ok)
		require.Equal(t, want, settings.OwnTable, env)
	}
}
