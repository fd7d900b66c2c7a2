package config_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
)

func TestLive(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change  func(*config.Config)
		live    []string
		restart []string
	}{
		"nothing": {change: func(*config.Config) {}},
		"what is live": {
			change: func(c *config.Config) {
				c.Log.Level = slog.LevelDebug
				c.BackgroundMigrations = config.BackgroundMigrations{
					Enabled: false, Workers: 9, SynchronousCommit: "on", MaxAttempts: 9,
					TakeoverInterval: time.Minute, StatementTimeout: time.Minute, LockTimeout: time.Minute,
				}
				c.ShutdownGrace = time.Minute
				c.DevelopmentMode, c.ForceRecreate = true, "again"
			},
			live: []string{
				"background_migrations.enabled", "background_migrations.workers", "background_migrations.synchronous_commit",
				"background_migrations.max_attempts", "background_migrations.target_duration", "background_migrations.takeover_interval",
				"background_migrations.statement_timeout", "background_migrations.lock_timeout", "development_mode", "force_recreate",
				"log.level", "shutdown_grace",
			},
		},
		"what is not": {
			change: func(c *config.Config) {
				c.ControlSchema, c.HTTP.Listen, c.Log.Format = "other", ":1", config.LogJSON
				c.Databases = map[string]config.Database{"a": {URL: "host=new", Schema: config.Schema{Migrations: "m"}}, "c": {URL: "host=c"}}
			},
			restart: []string{
				"control_schema", "databases.a.schema.migrations", "databases.a.url", "databases.b", "databases.c", "http.listen", "log.format",
			},
		},
		"both": {
			change:  func(c *config.Config) { c.Log = config.Log{Level: slog.LevelWarn, Format: config.LogText} },
			live:    []string{"log.level"},
			restart: []string{"log.format"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := func() config.Config {
				cfg := config.Default()
				cfg.Databases = map[string]config.Database{"a": {URL: "host=a"}, "b": {URL: "host=b"}}
				return cfg
			}
			old, next := before(), before()
			test.change(&next)
			changes := config.Live(old, next)
			require.Equal(t, test.live, changes.Live)
			require.Equal(t, test.restart, changes.Restart)
			require.True(t, old.Equal(before()), "the old one is not touched")
			// What is applied differs from the new one in what needs a restart, and in nothing else.
			rest := config.Live(changes.Applied, next)
			require.Empty(t, rest.Live)
			require.Equal(t, test.restart, rest.Restart)
			require.Equal(t, test.live, config.Live(old, changes.Applied).Live)
			require.Empty(t, config.Live(old, changes.Applied).Restart)
		})
	}
}
