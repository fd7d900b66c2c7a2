package config_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
)

var update = flag.Bool("update", false, "write the golden files")

func TestWriteYAMLGolden(t *testing.T) {
	t.Parallel()
	tests := map[string]given{
		"minimal": {environ: []string{"DATABASE_URL=" + someURL}},
		"libpq":   {environ: []string{"PGHOST=/run/postgresql"}, flags: []string{"--http-listen="}},
		"layers": {
			file: "databases:\n  auth: {url: '${AUTH}', listen_url: 'host=direct password=hunter2'}\n  order-items: {url: 'postgres://u:1#2@h/x?password=y'}\n" +
				"  stock:\nlog: {level: warn}\nshutdown_grace: 90s\nbackground_migrations: {workers: 3, synchronous_commit: on}\n",
			environ: []string{"AUTH=" + someURL, "STOCK_DATABASE_URL=host=stock", "BBM_ENABLED=false", "BBMD_BACKGROUND_MIGRATIONS__WORKERS=4"},
			flags:   []string{"--log-format", "json"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := config.Load(test.sources(t))
			require.NoError(t, err)
			var out bytes.Buffer
			require.NoError(t, cfg.WriteYAML(&out))
			got := out.Bytes()
			if cfg.File() != "" {
				got = bytes.ReplaceAll(got, []byte(cfg.File()), []byte("/etc/bbmd/bbmd.yaml"))
			}
			golden := filepath.Join("testdata", name+".yaml")
			if *update {
				require.NoError(t, os.WriteFile(golden, got, 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(string(want), string(got)))
			require.NotContains(t, string(got), "hunter2")
		})
	}
}

func TestWriteYAMLCanBeLoaded(t *testing.T) {
	t.Parallel()
	sources := given{
		file: "databases: {a: {url: 'host=h dbname=x'}, on: {url: host=i}}\nlog: {level: error}\nhttp: {listen: ''}\nshutdown_grace: 0s\ncontrol_schema: null_\n" +
			"background_migrations: {enabled: false, synchronous_commit: off, statement_timeout: 1h, lock_timeout: 1m}",
	}
	cfg, err := config.Load(sources.sources(t))
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, cfg.WriteYAML(&out))
	again, err := config.Load(given{file: out.String()}.sources(t))
	require.NoError(t, err)
	require.True(t, cfg.Equal(again), out.String())
}

func TestSettingsSayWhereFrom(t *testing.T) {
	t.Parallel()
	sources := given{file: "log: {level: warn}", environ: []string{"DATABASE_URL=" + someURL}, flags: []string{"--workers=3"}}.sources(t)
	cfg, err := config.Load(sources)
	require.NoError(t, err)
	found := map[string]config.Setting{}
	for _, setting := range cfg.Settings() {
		found[setting.Key] = setting
	}
	require.Equal(t, config.Setting{Key: "log.level", Value: "warn", Source: "file", Detail: sources.File}, found["log.level"])
	require.Equal(t, config.Setting{Key: "log.format", Value: "auto", Source: "default"}, found["log.format"])
	require.Equal(t, config.Setting{Key: "background_migrations.workers", Value: "3", Source: "flag", Detail: "--workers"}, found["background_migrations.workers"])
	require.Equal(t, config.Setting{
		Key: "databases.default.url", Value: "postgres://app:***@db.example:5432/app", Source: "env", Detail: "DATABASE_URL",
	}, found["databases.default.url"])
	require.Len(t, found, len(config.Keys()))
}
