package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
)

// services makes a directory with a file that has content, and the services'
// directories beside it.
func services(t *testing.T, content string, paths ...string) config.Sources {
	t.Helper()
	dir := t.TempDir()
	for _, path := range paths {
		path = filepath.Join(dir, path)
		if strings.HasSuffix(path, ".sql") {
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			writeFile(t, path, "SELECT 1")
			continue
		}
		require.NoError(t, os.MkdirAll(path, 0o700))
	}
	writeFile(t, filepath.Join(dir, "bbmd.yaml"), content)
	return config.Sources{File: filepath.Join(dir, "bbmd.yaml"), Environ: []string{}}
}

func TestSchemaOfADatabase(t *testing.T) {
	t.Parallel()
	sources := services(t, `
databases:
  auth:
    url: host=auth
    schema: {models: auth/schema.sql, migrations: auth/migrations, history: goose, bootstrap: migrations, create: true}
  billing:
    url: host=billing
    schema:
      on_start: verify
      models: {command: [python, -m, app.models, '--x=${X}']}
      migrations: billing
      command: python -m alembic
      arguments: [-x, a=b]
      version_table: public.alembic_version
      edited_files: allow
      directory: billing
      url_variable: BILLING_URL
      baseline_version: head
      out_of_order: allow
  plain: {url: host=plain}
`, "auth/schema.sql", "auth/migrations", "billing")
	sources.Environ = []string{"X=a b"}
	cfg, err := config.Load(sources)
	require.NoError(t, err)
	dir := filepath.Dir(sources.File)
	require.Empty(t, cmp.Diff(map[string]config.Schema{
		"auth": {
			Models: config.Models(dir + "/auth/schema.sql"), Migrations: dir + "/auth/migrations", History: "goose",
			URLVariable: "DATABASE_URL", Bootstrap: "migrations", OutOfOrder: "refuse", EditedFiles: "refuse", Create: true,
		},
		"billing": {
			OnStart: "verify", Models: `["python","-m","app.models","--x=a b"]`, Migrations: dir + "/billing", History: "auto",
			Command: `["python","-m","alembic"]`, Directory: dir + "/billing",
			URLVariable: "BILLING_URL", BaselineVersion: "head", Bootstrap: "models", OutOfOrder: "allow", EditedFiles: "allow", VersionTable: "public.alembic_version", Arguments: `["-x","a=b"]`,
		},
		"plain": config.DefaultSchema(),
	}, map[string]config.Schema{
		"auth": cfg.Databases["auth"].Schema, "billing": cfg.Databases["billing"].Schema, "plain": cfg.Databases["plain"].Schema,
	}))
	require.Equal(t, config.OnStartMigrate, cfg.Databases["auth"].Schema.Start())
	require.Equal(t, config.OnStartVerify, cfg.Databases["billing"].Schema.Start())
	require.Equal(t, config.OnStartOff, cfg.Databases["plain"].Schema.Start())
	require.Equal(t, []string{"python", "-m", "app.models", "--x=a b"}, cfg.Databases["billing"].Schema.Models.Command())
	require.Empty(t, cfg.Databases["billing"].Schema.Models.Path())
	require.Nil(t, cfg.Databases["auth"].Schema.Models.Command())
	require.NoError(t, cfg.Validate())
}

func TestSchemaByHand(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Databases["a"] = config.Database{URL: "host=a"}
	require.NoError(t, cfg.Validate(), "no schema at all")
	schema := config.DefaultSchema()
	schema.Migrations = t.TempDir()
	cfg.Databases["a"] = config.Database{URL: "host=a", Schema: schema}
	require.NoError(t, cfg.Validate())
	cfg.Databases["a"] = config.Database{URL: "host=a", Schema: config.Schema{Migrations: schema.Migrations}}
	require.ErrorContains(t, cfg.Validate(), "databases.a.schema.history")
}

func TestTwoHistoriesInOneDatabase(t *testing.T) {
	t.Parallel()
	const content = "databases: {a: {url: host=h, schema: {migrations: a%s}}, b: {url: host=h, schema: {migrations: b%s}}}"
	_, err := config.Load(services(t, fmt.Sprintf(content, "", ""), "a", "b"))
	require.ErrorContains(t, err, "it is the same database as databases.a; remove one, correct its url, or give each history a schema.version_table")
	_, err = config.Load(services(t, fmt.Sprintf(content, ", version_table: public.a_version", ", version_table: public.b_version"), "a", "b"))
	require.NoError(t, err)
}

func TestDiscover(t *testing.T) {
	t.Parallel()
	sources := services(t, `
discover: services
databases:
  billing: {url: host=billing, schema: {models: ddl.sql}}
  stock: {url: host=stock, schema: {migrations: stock}}
`, "services/auth/migrations", "services/auth/schema.sql", "services/billing/migrations", "services/billing/schema.sql",
		"services/order-items/migrations", "services/web/static", "services/away/migrations", "services/stock/migrations", "stock", "ddl.sql")
	sources.Environ = []string{"AUTH_DATABASE_URL=host=auth", "ORDER_ITEMS_DATABASE_URL=host=items", "DATABASE_URL=host=x"}
	cfg, err := config.Load(sources)
	require.NoError(t, err)
	require.Equal(t, []string{"auth", "billing", "order-items", "stock"}, cfg.Names())
	dir := filepath.Dir(sources.File)
	auth := cfg.Databases["auth"]
	require.Equal(t, "host=auth", string(auth.URL))
	require.Equal(t, dir+"/services/auth/migrations", auth.Schema.Migrations)
	require.Equal(t, dir+"/services/auth/schema.sql", auth.Schema.Models.Path())
	require.Equal(t, config.HistoryAuto, auth.Schema.History)
	require.Equal(t, config.Origin{Kind: config.OriginDiscovered, Detail: dir + "/services/auth"}, cfg.Origin("databases.auth.schema.migrations"))
	require.Equal(t, dir+"/services/billing/migrations", cfg.Databases["billing"].Schema.Migrations)
	require.Equal(t, dir+"/ddl.sql", cfg.Databases["billing"].Schema.Models.Path(), "what is configured by hand stands")
	require.Equal(t, dir+"/stock", cfg.Databases["stock"].Schema.Migrations)
	require.Empty(t, cfg.Databases["order-items"].Schema.Models)
	_, unreachable := cfg.Others()
	require.Equal(t, []string{"away"}, unreachable)
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	const content = "profiles: {minimal: [auth], full: [auth, billing], none: []}\n" +
		"databases: {auth: {url: host=a}, billing: {}, extra: {url_file: gone}}\n"
	load := func(flags ...string) (config.Config, error) {
		return config.Load(given{file: content, flags: flags}.sources(t))
	}

	cfg, err := load("--profile=minimal")
	require.NoError(t, err, "what is wrong with the others does not matter")
	require.Equal(t, []string{"auth"}, cfg.Names())
	outside, _ := cfg.Others()
	require.Equal(t, []string{"billing", "extra"}, outside)
	require.NoError(t, cfg.Validate())

	for profile, want := range map[string]string{
		"":      "databases.billing (file",
		"full":  "set url, url_file, BILLING_DATABASE_URL",
		"large": `profile (flag --profile): there is no profile "large"; the profiles are "full", "minimal", "none"`,
		"none":  `profile (flag --profile): no database is in "none"`,
	} {
		_, err := load("--profile=" + profile)
		require.ErrorContains(t, err, want)
	}
	_, err = config.Load(given{file: "profiles: {a: [b, c], A: []}\ndatabases: {b: {url: host=h}}"}.sources(t))
	require.ErrorContains(t, err, `"c" in "a" is no database of the configuration; the databases are b`)
	require.ErrorContains(t, err, `"A" cannot be the name of a profile`)
}

func TestLegacyVariables(t *testing.T) {
	t.Parallel()
	base := []string{"DATABASE_URL=host=h"}
	for name, test := range map[string]struct {
		environ []string
		file    string
		want    func(*config.Config)
	}{
		"all": {
			environ: []string{"DB_FORCE_RECREATE=true", "DEVELOPMENT_MODE=true", "SKIP_MIGRATION_VERSION_CHECK=true"},
			want: func(c *config.Config) {
				c.ForceRecreate, c.DevelopmentMode, c.SchemaMigrations.SkipVersionCheck = config.TokenTrue, true, true
			},
		},
		"off, as they are on most days": {
			environ: []string{"DB_FORCE_RECREATE=false", "DEVELOPMENT_MODE=", "SKIP_MIGRATION_VERSION_CHECK=0"},
			file:    "development_mode: true\nforce_recreate: 7\n",
			want:    func(c *config.Config) { c.DevelopmentMode, c.ForceRecreate = true, "7" },
		},
		"the environment is over the file": {
			environ: []string{"DEVELOPMENT_MODE=false"},
			file:    "development_mode: true\n",
			want:    func(*config.Config) {},
		},
		"a token, and one": {
			environ: []string{"DB_FORCE_RECREATE=2026-11-22", "DEVELOPMENT_MODE=1"},
			want:    func(c *config.Config) { c.DevelopmentMode, c.ForceRecreate = true, "2026-11-22" },
		},
		"1 is true": {
			environ: []string{"DB_FORCE_RECREATE=1", "DEVELOPMENT_MODE=1"},
			want:    func(c *config.Config) { c.DevelopmentMode, c.ForceRecreate = true, config.TokenTrue },
		},
		"a key's own variable is more specific": {
			environ: []string{"DB_FORCE_RECREATE=true", "BBMD_FORCE_RECREATE=off"},
			want:    func(*config.Config) {},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := config.Default()
			want.Databases["default"] = config.Database{URL: "host=h", Schema: config.DefaultSchema()}
			test.want(&want)
			got, err := config.Load(given{file: test.file, environ: append(test.environ, base...)}.sources(t))
			require.NoError(t, err)
			require.True(t, got.Equal(want), cmp.Diff(want.Settings(), got.Settings()))
		})
	}
}

func TestAlembicIsCalledWithoutASubcommand(t *testing.T) {
	t.Parallel()
	for schema, want := range map[string]string{
		"history: alembic, command: alembic upgrade heads":                          `it has "upgrade" in it`,
		"command: [python, -m, alembic, -c, a.ini, -x, current, --raiseerr, stamp]": `it has "stamp" in it`,
		"command: /venv/bin/alembic current":                                        `it has "current" in it`,
		"command: ./migrate.sh upgrade heads":                                       `it has "upgrade" in it`,
		"command: [sh, -c, 'cd x && alembic -q upgrade heads']":                     "it has a value that is not shown in it",
		"arguments: [-x, tenant=a, upgrade, heads]":                                 `they have "upgrade" in them`,
		"command: [uv, run, --group, upgrade-tools, alembic, -n, check, -x, stamp]": "",
		"command: [sh, -c, 'cd x && exec alembic \"$@\"', alembic]":                 "",
		"arguments: [-x, upgrade=yes, -c, a.ini, --raiseerr]":                       "",
		"history: command, command: alembic upgrade heads":                          "",
		"history: goose, command: alembic upgrade":                                  "goose needs none",
	} {
		_, err := config.Load(services(t, "databases: {a: {url: host=h, schema: {migrations: m, "+schema+"}}}", "m"))
		if want == "" {
			require.NoError(t, err, schema)
			continue
		}
		require.ErrorContains(t, err, want, schema)
		require.ErrorContains(t, err, "databases.a.schema.", schema)
	}
	_, err := config.Load(services(t, "databases: {a: {url: host=h, schema: {migrations: m, command: alembic upgrade heads}}}", "m"))
	require.ErrorContains(t, err, "or set history: command, to have it run as it stands")
	_, err = config.Load(services(t, "databases: {a: {url: host=h, schema: {command: alembic upgrade heads}}}"))
	require.NoError(t, err, "any command")
}

func TestCommandsAreListsOrPlainWords(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ yaml, want string }{
		"a list":             {"[a, 'b c', 7]", `["a","b c","7"]`},
		"words":              {"uv run alembic -x tenant=a", `["uv","run","alembic","-x","tenant=a"]`},
		"JSON":               {`'["a", "b"]'`, `["a","b"]`},
		"none":               {"[]", ""},
		"empty":              {"''", ""},
		"a masked word":      {"[curl, 'https://u:hunter2@h/x']", "refused"},
		"a shell's business": {"make migrate && echo done", "refused"},
		"no program":         {"['', x]", "refused"},
		"nested":             {"[[a]]", "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := config.Load(given{file: "databases: {a: {url: host=h, schema: {command: " + test.yaml + "}}}"}.sources(t))
			if test.want == "refused" {
				require.ErrorContains(t, err, "databases.a.schema.command (file")
				require.NotContains(t, err.Error(), "hunter2")
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, string(cfg.Databases["a"].Schema.Command))
		})
	}
	require.Equal(t, `["x","postgres://u:***@h/d"]`, config.NewCommand("x", "postgres://u:hunter2@h/d").String())
	require.Equal(t, `["x","postgres://u:***@h/d"]`, config.Models(config.NewCommand("x", "postgres://u:hunter2@h/d")).String())
	require.Empty(t, config.NewCommand())
	require.Nil(t, config.Command("").Args())
}
