package config_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
)

// given is a set of sources that sees nothing of the machine.
type given struct {
	file    string // content; empty for no file
	name    string // the file's name; bbmd.yaml if empty
	environ []string
	flags   []string
}

func (g given) sources(t *testing.T) config.Sources {
	t.Helper()
	sources := config.Sources{Search: []string{}, Environ: append([]string{}, g.environ...)}
	if g.file != "" {
		name := g.name
		if name == "" {
			name = "bbmd.yaml"
		}
		sources.File = filepath.Join(t.TempDir(), name)
		writeFile(t, sources.File, g.file)
	}
	if g.flags != nil {
		sources.Flags = pflag.NewFlagSet("bbmd", pflag.ContinueOnError)
		config.RegisterFlags(sources.Flags)
		require.NoError(t, sources.Flags.Parse(g.flags))
	}
	return sources
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
}

const someURL = "postgres://app:hunter2@db.example:5432/app"

func TestLoadMergesLayers(t *testing.T) {
	t.Parallel()
	with := func(change func(*config.Config)) config.Config {
		cfg := config.Default()
		cfg.Databases["default"] = config.Database{URL: someURL}
		change(&cfg)
		for name, db := range cfg.Databases {
			db.Schema = config.DefaultSchema()
			cfg.Databases[name] = db
		}
		return cfg
	}
	tests := map[string]struct {
		given given
		want  config.Config
	}{
		"DATABASE_URL alone": {
			given{environ: []string{"DATABASE_URL=" + someURL}},
			with(func(*config.Config) {}),
		},
		"libpq variables alone": {
			given{environ: []string{"PGHOST=/run/postgresql"}},
			with(func(c *config.Config) { c.Databases["default"] = config.Database{} }),
		},
		"the file over defaults": {
			given{file: "databases: {default: {url: '" + someURL + "'}}\nlog: {level: warn, format: json}\nshutdown_grace: 5m\n" +
				"background_migrations: {enabled: false, workers: 8, synchronous_commit: on, lock_timeout: 200ms}\nhttp:\n"},
			with(func(c *config.Config) {
				c.Log = config.Log{Level: slog.LevelWarn, Format: config.LogJSON}
				c.ShutdownGrace = 5 * time.Minute
				c.BackgroundMigrations.Enabled = false
				c.BackgroundMigrations.Workers = 8
				c.BackgroundMigrations.SynchronousCommit = "on"
				c.BackgroundMigrations.LockTimeout = 200 * time.Millisecond
			}),
		},
		"TOML": {
			given{name: "x.toml", file: "shutdown_grace = '1s'\n[databases.default]\nurl = '" + someURL + "'\n[background_migrations]\nworkers = 3\n"},
			with(func(c *config.Config) { c.ShutdownGrace, c.BackgroundMigrations.Workers = time.Second, 3 }),
		},
		"JSON": {
			given{name: "x.json", file: `{"databases":{"default":{"url":"` + someURL + `"}},"background_migrations":{"workers":3,"enabled":false}}`},
			with(func(c *config.Config) { c.BackgroundMigrations.Workers, c.BackgroundMigrations.Enabled = 3, false }),
		},
		"the environment over the file, flags over both": {
			given{
				file:    "databases: {default: {url: '" + someURL + "'}}\nbackground_migrations: {workers: 3, max_attempts: 7}\nhttp: {listen: ':1'}\nlog: {level: error}",
				environ: []string{"BBMD_BACKGROUND_MIGRATIONS__WORKERS=4", "BBMD_HTTP__LISTEN=:2", "BBMD_LOG__LEVEL=debug"},
				flags:   []string{"--http-listen=:3", "--log-level", "warn"},
			},
			with(func(c *config.Config) {
				c.BackgroundMigrations.Workers, c.BackgroundMigrations.MaxAttempts = 4, 7
				c.HTTP.Listen, c.Log.Level = ":3", slog.LevelWarn
			}),
		},
		"flags that were not given do not count": {
			given{file: "control_schema: own\ndatabases: {default: {url: '" + someURL + "'}}", flags: []string{"--workers=9"}},
			with(func(c *config.Config) { c.ControlSchema, c.BackgroundMigrations.Workers = "own", 9 }),
		},
		"a database in the environment only": {
			given{environ: []string{"BBMD_DATABASES__DEFAULT__URL=" + someURL, "BBMD_DATABASES__DEFAULT__LISTEN_URL=host=direct"}},
			with(func(c *config.Config) {
				c.Databases["default"] = config.Database{URL: someURL, ListenURL: "host=direct"}
			}),
		},
		"named databases take their own variables, and only where the file leaves room": {
			given{
				file:    "databases:\n  auth:\n  order-items: {listen_url: ''}\n  stock: {url: host=stock}\n",
				environ: []string{"AUTH_DATABASE_URL=host=auth", "ORDER_ITEMS_DATABASE_URL=host=items", "STOCK_DATABASE_URL=host=x", "DATABASE_URL=host=y"},
			},
			with(func(c *config.Config) {
				c.Databases = map[string]config.Database{"auth": {URL: "host=auth"}, "order-items": {URL: "host=items"}, "stock": {URL: "host=stock"}}
			}),
		},
		"a variable finds the name with a dash": {
			given{file: "databases: {order-items: {url: host=a}}", environ: []string{"BBMD_DATABASES__ORDER_ITEMS__URL=host=b"}},
			with(func(c *config.Config) {
				c.Databases = map[string]config.Database{"order-items": {URL: "host=b"}}
			}),
		},
		"variables in the file": {
			given{
				file:    "databases: {default: {url: '${SCHEME}://app:${PW}@db.example:${PORT:-5432}/app'}}\nhttp: {listen: '${LISTEN:-}'}",
				environ: []string{"SCHEME=postgres", "PW=hunter2", "PORT="},
			},
			with(func(c *config.Config) { c.HTTP.Listen = "" }),
		},
		"the switches of other names": {
			given{environ: []string{"DATABASE_URL=" + someURL, "BBM_ENABLED=false", "DEBUG_LOGGING=true"}},
			with(func(c *config.Config) { c.BackgroundMigrations.Enabled, c.Log.Level = false, slog.LevelDebug }),
		},
		"a key's own variable is more specific": {
			given{environ: []string{"DATABASE_URL=" + someURL, "DEBUG_LOGGING=true", "BBMD_LOG__LEVEL=warn", "BBM_ENABLED=1", "BBMD_BACKGROUND_MIGRATIONS__ENABLED=true"}},
			with(func(c *config.Config) { c.Log.Level = slog.LevelWarn }),
		},
		"what Kubernetes adds for a Service named bbmd": {
			given{environ: []string{
				"DATABASE_URL=" + someURL, "BBMD_PGBIN=/usr/lib/postgresql/17/bin", "BBMD_SERVICE_HOST=10.0.0.1", "BBMD_SERVICE_PORT=80", "BBMD_SERVICE_PORT_HTTP_METRICS=80",
				"BBMD_PORT=tcp://10.0.0.1:80", "BBMD_PORT_80_TCP=tcp://10.0.0.1:80", "BBMD_PORT_80_TCP_ADDR=10.0.0.1", "BBMD_METRICS_SERVICE_HOST=10.0.0.2",
			}},
			with(func(*config.Config) {}),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := config.Load(test.given.sources(t))
			require.NoError(t, err)
			// Compared by Equal, and shown by Settings, since the type hides urls.
			require.True(t, got.Equal(test.want), cmp.Diff(test.want.Settings(), got.Settings()))
		})
	}
}

func TestLoadListsEverythingWrong(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		given given
		want  []string // parts of the problems, one each, in any order
	}{
		"nothing": {given{}, []string{"databases (default): no database is configured; set DATABASE_URL"}},
		"all at once": {
			given{
				file: "databasess: {}\nlog: {level: verbose, colour: true}\nshutdown_grace: 30\nbackground_migrations: {workers: 0, max_attempts: x}\n" +
					"http.listen: ':1'\ndatabases: {default: {url: host=h, url_file: /x, uri: a}}",
				environ: []string{"BBMD_HTTP_LISTEN=:1", "BBMD_LOG__FORMAT=xml"},
			},
			[]string{
				"databasess (file",
				"did you mean databases?",
				`log.level (file`, `"verbose" is not a level; use debug, info, warn or error`,
				"log.colour (file", "known here: format, level",
				`"30" is not a duration; write a number and a unit`,
				`background_migrations.workers (file`, `0 is out of range; use 1 to 256`,
				`"x" is not a whole number`,
				"nest the key instead of joining it with dots",
				"databases.default.url (file", "are both set; keep one of them",
				"databases.default.uri (file", "did you mean url?",
				"BBMD_HTTP_LISTEN (env): no key has this variable; did you mean BBMD_HTTP__LISTEN?",
				`log.format (env BBMD_LOG__FORMAT): "xml" is no such format; use auto, text or json`,
			},
		},
		"a typo in a variable":       {given{environ: []string{"DATABASE_URL=host=h", "BBMD_LOG__LEVL=info"}}, []string{"did you mean BBMD_LOG__LEVEL?"}},
		"a section as a value":       {given{file: "http: ':8080'\ndatabases: {default: {url: host=h}}"}, []string{"http (file", "a single value stands where keys belong; write http: {listen: …}"}},
		"a value as a section":       {given{file: "log: {level: {x: y}}\ndatabases: {default: {url: [a]}}"}, []string{"log.level (file", "a list or a mapping is not a level", "databases.default.url (file", "a list, a mapping or a date stands where text belongs"}},
		"an unset variable":          {given{file: "databases: {auth: {url: '${AUTH_URL}'}}"}, []string{"databases.auth.url (file", "${AUTH_URL} is not set in the environment; set the variable, or write ${AUTH_URL:-fallback}"}},
		"a malformed variable":       {given{file: "databases: {auth: {url: '${AUTH-URL}'}, b: {url: 'a${B'}}"}, []string{"a ${…} does not hold the name of a variable", "a ${ is never closed"}},
		"no way to a database":       {given{file: "databases: {auth: }"}, []string{"databases.auth (file", "nothing says how to reach it; set url, url_file, AUTH_DATABASE_URL"}},
		"libpq for two databases":    {given{file: "databases: {a: , b: }", environ: []string{"PGHOST=h"}}, []string{"databases.b (file", "the libpq variables already are databases.a"}},
		"one database twice":         {given{file: "databases: {a: {url: host=h}, b: {url: host=h}}"}, []string{"databases.b", "it is the same database as databases.a"}},
		"names variables confuse":    {given{file: "databases: {a-b: {url: host=h}, a_b: {url: host=i}}"}, []string{"databases.a_b", "environment variables cannot tell it from databases.a-b"}},
		"a bad name":                 {given{file: "databases: {Auth: {url: host=h}}"}, []string{`databases (file`, `"Auth" cannot be the name of a database`}},
		"a bad url":                  {given{environ: []string{"DATABASE_URL=postgres://app:hunter2@db:x/app"}}, []string{"databases.default.url (env DATABASE_URL): it is not a connection string"}},
		"a bad port":                 {given{environ: []string{"DATABASE_URL=postgres://app:hunter2@db:99999/app"}}, []string{`"postgres://app:***@db:99999/app": invalid port`}},
		"a bad listen_url":           {given{file: "databases: {a: {url: host=h, listen_url: nonsense}}"}, []string{"databases.a.listen_url", "it is not a connection string"}},
		"no url_file":                {given{file: "databases: {a: {url_file: gone}}"}, []string{"databases.a.url_file", "gone: no such file or directory"}},
		"contradicting switches":     {given{environ: []string{"DATABASE_URL=host=h", "BBM_ENABLED=false", "BBMD_BACKGROUND_MIGRATIONS__ENABLED=true"}}, []string{"BBM_ENABLED and BBMD_BACKGROUND_MIGRATIONS__ENABLED contradict each other"}},
		"a switch that is no switch": {given{environ: []string{"DATABASE_URL=host=h", "BBM_ENABLED=maybe", "DEBUG_LOGGING=perhaps"}}, []string{`background_migrations.enabled (env BBM_ENABLED): "maybe" is neither true nor false`, `DEBUG_LOGGING (env): "perhaps" is neither true nor false`}},
		"events from nowhere":        {given{environ: []string{"DATABASE_URL=host=h", "BBMD_EVENTS=kafka"}}, []string{`events (env BBMD_EVENTS): "kafka" is no source of events; use notify or wal`}},
		"timeouts":                   {given{environ: []string{"DATABASE_URL=host=h"}, file: "background_migrations: {statement_timeout: 1s, lock_timeout: 1s, takeover_interval: 1ms}"}, []string{"1s is not less than statement_timeout (1s)", "1ms is out of range; use 100ms to 10m0s"}},
		"synchronous_commit":         {given{environ: []string{"DATABASE_URL=host=h"}, file: "background_migrations: {synchronous_commit: maybe}"}, []string{`"maybe" is no such mode; use off, local, on`}},
		"schema names":               {given{environ: []string{"DATABASE_URL=host=h", "BBMD_CONTROL_SCHEMA=public"}}, []string{`control_schema (env BBMD_CONTROL_SCHEMA): "public" belongs to others`}},
		"quoted schema names":        {given{environ: []string{"DATABASE_URL=host=h"}, flags: []string{"--control-schema", "My-Schema"}}, []string{`control_schema (flag --control-schema): "My-Schema" cannot be the name of a schema here`}},
		"listen":                     {given{environ: []string{"DATABASE_URL=host=h", "BBMD_HTTP__LISTEN=8080"}}, []string{`http.listen (env BBMD_HTTP__LISTEN): "8080" is not host:port`}},
		"a negative duration":        {given{environ: []string{"DATABASE_URL=host=h"}, flags: []string{"--shutdown-grace=-1s"}}, []string{"shutdown_grace (flag --shutdown-grace): ", "-1s is out of range"}},
		"malformed YAML":             {given{file: "log: {level: info"}, []string{"it is not valid YAML: line 1: did not find expected"}},
		"not a mapping":              {given{file: "- a"}, []string{"it is not valid YAML: line 1: cannot unmarshal … into a mapping"}},
		"two documents":              {given{file: "log: {level: info}\n---\nlog: {level: warn}"}, []string{"it holds more than one document"}},
		"malformed JSON":             {given{name: "x.json", file: "{\n\"log\": }"}, []string{"it is not valid JSON: line 2: unexpected character or end"}},
		"malformed TOML":             {given{name: "x.toml", file: "a = 1\nb"}, []string{"it is not valid TOML: line 2: expected = after a key, but the document ends there"}},
		"TOML with a key twice":      {given{name: "x.toml", file: "a = 1\na = 2"}, []string{"it is not valid TOML: a key or a table is there twice"}},
		"words of a schema": {
			given{environ: []string{"DATABASE_URL=host=h"}, file: "databases: {default: {schema: {on_start: now, history: rails, bootstrap: x, out_of_order: maybe, url_variable: a-b, baseline_version: 'a b', create: 7}}}"},
			[]string{
				`databases.default.schema.on_start (file`, `"now" is none of its values; use migrate, verify, off`,
				`"rails" is none of its values; use auto, goose, alembic, command`,
				`"x" is none of its values; use models, migrations`,
				`"maybe" is none of its values; use refuse, allow`,
				"it is not the name of a variable; use letters, digits and '_', such as DATABASE_URL",
				"it is not a version; write it as the tool does",
				`"7" is neither true nor false`,
			},
		},
		"paths of a schema": {
			given{environ: []string{"DATABASE_URL=host=h"}, file: "databases: {default: {schema: {migrations: gone, models: away.sql, directory: bbmd.yaml}}}"},
			[]string{
				"databases.default.schema.migrations (file", "gone: there is no such file; correct the path; in the file it starts at the file's directory",
				"away.sql: there is no such file", "bbmd.yaml is not a directory; name the directory",
			},
		},
		"a secret as a path":    {given{environ: []string{"DATABASE_URL=host=h"}, file: "databases: {default: {schema: {migrations: 'postgres://a:hunter2@h/d'}}}"}, []string{"it holds a connection string, where a path belongs"}},
		"a history of nothing":  {given{environ: []string{"DATABASE_URL=host=h"}, file: "databases: {default: {schema: {history: goose}}}"}, []string{"there are no migrations to goose; set migrations to their directory"}},
		"a command of nothing":  {given{environ: []string{"DATABASE_URL=host=h"}, file: "databases: {default: {schema: {history: command}}}"}, []string{"databases.default.schema.history", "it is command, and there is none; set command, or another history"}},
		"goose with a command":  {given{environ: []string{"DATABASE_URL=host=h"}, file: "databases: {default: {schema: {history: goose, command: make}}}"}, []string{"goose needs none, and would not run it"}},
		"models and a command":  {given{environ: []string{"DATABASE_URL=host=h"}, file: "databases: {default: {schema: {models: bbmd.yaml, history: command, command: make}}}"}, []string{"nobody knows how to stamp a history of command"}},
		"arguments of nothing":  {given{environ: []string{"DATABASE_URL=host=h"}, file: "databases: {default: {schema: {arguments: [-x, a], command: make, version_table: t}}}"}, []string{"they are Alembic's alone; put them into command", "it is not a table with its schema; write it as public.alembic_version"}},
		"no migrations":         {given{environ: []string{"DATABASE_URL=host=h"}, file: "databases: {default: {schema: {models: bbmd.yaml, bootstrap: migrations}}}"}, []string{"it is migrations, and there are none"}},
		"other models":          {given{environ: []string{"DATABASE_URL=host=h"}, file: "databases: {default: {schema: {models: {file: x}}}}"}, []string{"it holds other keys than command; write a path, or {command: [python, -m, app.models]}"}},
		"nothing to verify":     {given{environ: []string{"DATABASE_URL=host=h"}, file: "databases: {default: {schema: {on_start: verify}}}"}, []string{"there is nothing to verify; set models, migrations or command"}},
		"a baseline of nothing": {given{environ: []string{"DATABASE_URL=host=h"}, file: "databases: {default: {schema: {baseline_version: 3, command: make}}}"}, []string{"there is no history that it belongs to"}},
		"recreate in earnest":   {given{environ: []string{"DATABASE_URL=host=h", "DB_FORCE_RECREATE=true"}}, []string{"force_recreate (env DB_FORCE_RECREATE): it drops databases, and development_mode is off; remove it, or set development_mode"}},
		"a token of anything":   {given{environ: []string{"DATABASE_URL=host=h"}, file: "development_mode: true\nforce_recreate: 'a b'"}, []string{"it is not a token; use up to 100 letters"}},
		"schema timeouts":       {given{environ: []string{"DATABASE_URL=host=h"}, file: "schema_migrations: {statement_timeout: 1s, lock_timeout: 2s, parallel: 0}"}, []string{"2s is not less than statement_timeout (1s)", "0 is out of range; use 1 to 64"}},
		"development, or not":   {given{environ: []string{"DATABASE_URL=host=h", "DEVELOPMENT_MODE=true", "BBMD_DEVELOPMENT_MODE=false"}}, []string{"DEVELOPMENT_MODE and BBMD_DEVELOPMENT_MODE contradict each other"}},
		"discover nowhere":      {given{environ: []string{"DATABASE_URL=host=h"}, file: "discover: gone"}, []string{"discover (file", "there is no such file; correct the path, or remove the key"}},
		"discover nothing":      {given{environ: []string{"DATABASE_URL=host=h"}, file: "discover: ."}, []string{"there is no <name>/migrations in it"}},
		"discover a secret":     {given{environ: []string{"DATABASE_URL=host=h"}, file: "discover: 'postgres://a:hunter2@h/d'"}, []string{"it holds a connection string, where a path belongs"}},
		"profiles that are not": {given{environ: []string{"DATABASE_URL=host=h", `BBMD_PROFILES={"a": 1}`}}, []string{"profiles (env BBMD_PROFILES): something stands where a list belongs; write lists of databases"}},
		"an unknown format":     {given{name: "bbmd.ini", file: "x"}, []string{"its extension does not say what it is; name it .yaml, .yml, .toml or .json"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := config.Load(test.given.sources(t))
			require.Error(t, err)
			require.Equal(t, config.Config{}, cfg)
			require.NotContains(t, err.Error(), "hunter2")
			for _, part := range test.want {
				require.Contains(t, err.Error(), part)
			}
			problem, ok := errors.AsType[*config.KeyError](err)
			require.True(t, ok)
			require.NotEmpty(t, problem.Hint)
			if len(test.want) == 1 {
				require.Len(t, strings.Split(err.Error(), "\n"), 1, "one problem is one line: %v", err)
			}
		})
	}
}

func TestUnexpandedValueIsNotQuoted(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"log: {level: '${PW}'}", "log: {format: '${PW}'}", "control_schema: '${PW}-'", "http: {listen: '${PW}'}", "shutdown_grace: '${PW}'", "background_migrations: {synchronous_commit: '${PW}'}"} {
		_, err := config.Load(given{file: key, environ: []string{"PW=hunter2", "DATABASE_URL=host=h"}}.sources(t))
		require.ErrorContains(t, err, "what the variable holds", key)
		require.NotContains(t, err.Error(), "hunter2", key)
	}
}
