package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
)

// A mapping in the file and JSON in the environment mean the same.
func TestThrottleIsAMappingOrJSON(t *testing.T) {
	t.Parallel()
	file := "databases: {a: {url: host=h}}\nbackground_migrations:\n  throttle:\n    duty: 0.5\n    windows: [\"22:00-06:00 UTC\"]\n    busy: {mode: off}\n"
	cfg, err := config.Load(given{file: file}.sources(t))
	require.NoError(t, err)
	require.JSONEq(t, `{"duty": 0.5, "windows": ["22:00-06:00 UTC"], "busy": {"mode": "off"}}`, string(cfg.BackgroundMigrations.Throttle))

	cfg, err = config.Load(given{environ: []string{"DATABASE_URL=host=h", `BBMD_BACKGROUND_MIGRATIONS__THROTTLE={"duty": 0.5}`}}.sources(t))
	require.NoError(t, err)
	require.JSONEq(t, `{"duty": 0.5}`, string(cfg.BackgroundMigrations.Throttle))

	_, err = config.Load(given{environ: []string{"DATABASE_URL=host=h", `BBMD_BACKGROUND_MIGRATIONS__THROTTLE=[1]`}}.sources(t))
	require.ErrorContains(t, err, "is not a JSON object")
}
