package config_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
)

// TestDocumentation compares docs/configuration.md with the struct.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	var documented, actual [][]string
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 6 || !strings.HasPrefix(strings.TrimSpace(cells[0]), "`") {
			continue
		}
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		documented = append(documented, cells[:5])
		require.Greater(t, len(cells[5]), 20, "%s is not explained", cells[0])
	}
	for _, key := range config.Keys() {
		row := []string{key.Name, key.Default, key.Env, "", "restart"}
		if key.Flag != "" {
			row[3] = "--" + key.Flag
		}
		if key.Live {
			row[4] = "live"
		}
		actual = append(actual, row)
	}
	require.Empty(t, cmp.Diff(actual, documented), "docs/configuration.md (+) and the struct (-) differ")
}

// TestDocumentedExamplesLoad loads every YAML example of the page.
func TestDocumentedExamplesLoad(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(page, -1)
	require.NotEmpty(t, examples)
	dir := t.TempDir()
	secret := dir + "/url"
	writeFile(t, secret, "host=h")
	for _, path := range []string{"billing/migrations", "services/auth/migrations", "services/billing/migrations"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, path), 0o700))
	}
	for _, example := range examples {
		content := strings.ReplaceAll(string(example[1]), "/run/secrets/billing-url", secret)
		writeFile(t, dir+"/bbmd.yaml", content)
		_, err := config.Load(config.Sources{File: dir + "/bbmd.yaml", Environ: []string{
			"AUTH_DATABASE_URL=host=a", "BILLING_DATABASE_URL=host=c", "DB_PASSWORD=x", "DATABASE_URL=host=b",
		}})
		require.NoError(t, err, content)
	}
}

// TestFieldDocs holds every field's comment against its default.
func TestFieldDocs(t *testing.T) {
	t.Parallel()
	sample := config.Default()
	sections := map[string]map[string]string{ // struct, name, default
		"Config": values(sample), "Database": values(config.Database{}), "Schema": values(config.DefaultSchema()),
		"SchemaMigrations": values(sample.SchemaMigrations), "BackgroundMigrations": values(sample.BackgroundMigrations),
		"HTTP": values(sample.HTTP), "Dashboard": values(sample.Dashboard), "Log": values(sample.Log),
		"Tracing": values(sample.Tracing), "Sentry": values(sample.Sentry),
		"Plugins": values(sample.Plugins), "PluginsVerify": values(sample.Plugins.Verify),
	}
	checked := 0
	for _, name := range []string{"config.go", "dashboard.go", "observability.go", "plugins.go", "schema.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		require.NoError(t, err)
		ast.Inspect(file, func(node ast.Node) bool {
			spec, ok := node.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if section, ok := spec.Type.(*ast.StructType); ok {
				checked += checkFieldDocs(t, section, sections[spec.Name.Name])
			}
			return false
		})
	}
	require.Len(t, config.Keys(), checked)
}

// values returns the values of a section's keys.
func values(section any) map[string]string {
	found := map[string]string{}
	for i, value := 0, reflect.ValueOf(section); i < value.NumField(); i++ {
		name, tagged := value.Type().Field(i).Tag.Lookup("koanf")
		if kind := value.Field(i).Kind(); tagged && kind != reflect.Struct && kind != reflect.Map {
			found[name] = config.Text(value.Field(i))
		}
	}
	return found
}

func checkFieldDocs(t *testing.T, section *ast.StructType, defaults map[string]string) (checked int) {
	t.Helper()
	for _, field := range section.Fields.List {
		if field.Tag == nil {
			continue
		}
		name := reflect.StructTag(strings.Trim(field.Tag.Value, "`")).Get("koanf")
		doc := strings.Join(strings.Fields(field.Doc.Text()), " ")
		require.True(t, strings.HasPrefix(doc, field.Names[0].Name+" "), name)
		if want, isKey := defaults[name]; isKey {
			if want == "" {
				want = "empty"
			}
			require.True(t, strings.HasSuffix(doc, "Defaults to "+want+"."), "%s: %s", name, doc)
			checked++
		}
	}
	return checked
}

func TestEveryFlagOfAKeyExists(t *testing.T) {
	t.Parallel()
	flags := pflag.NewFlagSet("bbmd", pflag.ContinueOnError)
	config.RegisterFlags(flags)
	registered := map[string]bool{}
	flags.VisitAll(func(flag *pflag.Flag) { registered[flag.Name] = true })
	delete(registered, "config")
	for _, key := range config.Keys() {
		if key.Flag == "" {
			continue
		}
		require.True(t, registered[key.Flag], key.Flag)
		require.Equal(t, key.Default, flags.Lookup(key.Flag).DefValue, key.Name)
		delete(registered, key.Flag)
	}
	require.Empty(t, registered, "flags that set nothing")
}

func TestEnvironmentSetsEveryKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir+"/url", "host=h")
	writeFile(t, dir+"/schema.sql", "")
	require.NoError(t, os.MkdirAll(dir+"/services/default/migrations", 0o700))
	const schema = "databases.<name>.schema."
	values := map[string]string{
		"databases.<name>.url": "host=a", "databases.<name>.listen_url": "host=b", "databases.<name>.url_file": dir + "/url",
		schema + "on_start": "verify", schema + "models": dir + "/schema.sql", schema + "migrations": dir,
		schema + "history": "command", schema + "command": `["make","migrate"]`, schema + "directory": dir, schema + "url_variable": "PGURL",
		schema + "baseline_version": "7", schema + "bootstrap": "migrations", schema + "out_of_order": "allow", schema + "create": "true",
		schema + "arguments": `["-x","a=b"]`, schema + "version_table": "a.b", schema + "edited_files": "allow",
		"discover": dir + "/services", "profiles": `{"small":["default"]}`, "profile": "small",
		"control_schema": "c", "events": "wal", "development_mode": "true", "force_recreate": "t", "schema_migrations.skip_version_check": "true",
		"background_migrations.enabled": "false", "background_migrations.synchronous_commit": "on",
		"plugins.dir": "p", "plugins.lock": "p.lock", "plugins.verify.sql": "off", "plugins.verify.process": "warn",
		"dashboard.listen": "127.0.0.1:1", "dashboard.hosts": "a,b.example", "dashboard.token": "***", "dashboard.token_file": dir + "/token", "dashboard.public_read": "true",
		"tracing.endpoint": "http://collector:4318", "sentry.environment": "staging", "sentry.dsn": "https://key@sentry.example/1",
		"http.listen": ":1", "background_migrations.statement_timeout": "7s", "background_migrations.throttle": `{"duty":1}`, "log.level": "error", "log.format": "json",
	}
	also := map[string][]string{ // what a key needs beside it
		schema + "arguments":        {"BBMD_DATABASES__DEFAULT__SCHEMA__MIGRATIONS=" + dir},
		schema + "bootstrap":        {"BBMD_DATABASES__DEFAULT__SCHEMA__MIGRATIONS=" + dir},
		schema + "on_start":         {"BBMD_DATABASES__DEFAULT__SCHEMA__MIGRATIONS=" + dir},
		schema + "baseline_version": {"BBMD_DATABASES__DEFAULT__SCHEMA__MIGRATIONS=" + dir},
		schema + "history":          {"BBMD_DATABASES__DEFAULT__SCHEMA__COMMAND=make migrate"},
		"plugins.lock":              {"BBMD_PLUGINS__DIR=p"},
		"profile":                   {`BBMD_PROFILES={"small":["default"]}`, "BBMD_DATABASES__DEFAULT__LISTEN_URL=host=a"},
		"force_recreate":            {"DEVELOPMENT_MODE=true"},
	}
	for _, key := range config.Keys() {
		name := strings.Replace(key.Name, "<name>", "default", 1)
		value, ok := values[key.Name]
		if !ok {
			value = "7"
		}
		if _, err := time.ParseDuration(key.Default); err == nil && key.Default != "0" && !ok {
			value = "7s"
			if name == "background_migrations.lock_timeout" || name == "background_migrations.target_duration" {
				value = "700ms"
			}
		}
		environ := append([]string{strings.Replace(key.Env, "<NAME>", "DEFAULT", 1) + "=" + value}, also[key.Name]...)
		if !strings.HasSuffix(name, "url_file") {
			environ = append(environ, "DATABASE_URL=host=h")
		}
		cfg, err := config.Load(given{environ: environ}.sources(t))
		require.NoError(t, err, environ)
		require.Equal(t, config.OriginEnvironment, cfg.Origin(name).Kind, name)
		for _, setting := range cfg.Settings() {
			if setting.Key == name {
				if name == "sentry.dsn" {
					value = "***"
				}
				require.Equal(t, value, setting.Value, name)
			}
		}
	}
}
