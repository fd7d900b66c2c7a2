package config_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

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
	secret := t.TempDir() + "/url"
	writeFile(t, secret, "host=h")
	for _, example := range examples {
		content := strings.ReplaceAll(string(example[1]), "/run/secrets/billing-url", secret)
		_, err := config.Load(given{file: content, environ: []string{"AUTH_DATABASE_URL=host=a", "DB_PASSWORD=x", "DATABASE_URL=host=b"}}.sources(t))
		require.NoError(t, err, content)
	}
}

// TestFieldDocs holds every field's comment against its default.
func TestFieldDocs(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	require.NoError(t, err)
	defaults := map[string]string{}
	for _, key := range config.Keys() {
		name := key.Name[strings.LastIndexByte(key.Name, '.')+1:]
		require.NotContains(t, defaults, name, "a name in two sections: this test has to look closer")
		defaults[name] = key.Default
		if key.Default == "" {
			defaults[name] = "empty"
		}
	}
	checked := 0
	ast.Inspect(file, func(node ast.Node) bool {
		field, ok := node.(*ast.Field)
		if !ok || field.Tag == nil {
			return true
		}
		name := reflect.StructTag(strings.Trim(field.Tag.Value, "`")).Get("koanf")
		doc := strings.Join(strings.Fields(field.Doc.Text()), " ")
		require.True(t, strings.HasPrefix(doc, field.Names[0].Name+" "), name)
		if want, isKey := defaults[name]; isKey {
			require.True(t, strings.HasSuffix(doc, "Defaults to "+want+"."), "%s: %s", name, doc)
			checked++
		}
		return true
	})
	require.Len(t, defaults, checked)
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
	values := map[string]string{
		"databases.<name>.url": "host=a", "databases.<name>.listen_url": "host=b", "control_schema": "c",
		"background_migrations.enabled": "false", "background_migrations.synchronous_commit": "on",
		"http.listen": ":1", "background_migrations.statement_timeout": "7s", "background_migrations.throttle": `{"duty":1}`, "log.level": "error", "log.format": "json",
	}
	for _, key := range config.Keys() {
		name := strings.Replace(key.Name, "<name>", "default", 1)
		value, ok := values[key.Name]
		if !ok {
			value = "7"
		}
		if strings.HasSuffix(key.Default, "s") && !ok {
			value = "700ms"
		}
		environ := []string{strings.Replace(key.Env, "<NAME>", "DEFAULT", 1) + "=" + value, "DATABASE_URL=host=h"}
		if strings.HasSuffix(name, "url_file") {
			value = t.TempDir() + "/url"
			writeFile(t, value, "host=h")
			environ = []string{"BBMD_DATABASES__DEFAULT__URL_FILE=" + value}
		}
		cfg, err := config.Load(given{environ: environ}.sources(t))
		require.NoError(t, err, environ)
		require.Equal(t, config.OriginEnvironment, cfg.Origin(name).Kind, name)
		for _, setting := range cfg.Settings() {
			if setting.Key == name {
				require.Equal(t, value, setting.Value, name)
			}
		}
	}
}
