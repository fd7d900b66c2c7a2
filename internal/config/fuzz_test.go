package config_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
)

// FuzzLoad puts a connection string somewhere into a file. Whatever comes of
// it, the password is not in the error, nor in what is shown of the result.
func FuzzLoad(f *testing.F) {
	for _, seed := range []struct{ before, after string }{
		{"", ""},
		{"databases: {default: {url: '", "'}}\nlog: {level: debug}\n"},
		{"databases:\n  a:\n    url: ", "\n    listen_url: host=h\nhttp:\n  listen: :80\n"},
		{"databases: {a: {url_file: '", "'}}"},
		{"databases: {a: {url: '${", "}'}}"},
		{"log: {level: '", "'}\ncontrol_schema: x\n"},
		{"? ", "\n: x"},
		{"a: *", ""},
		{"a: !", " b"},
		{"{\"databases\": {\"a\": {\"url\": \"", "\"}}}"},
		{"[databases.a]\nurl = '", "'\n[databases.a]\n"},
		{"shutdown_grace: ", ""},
		{"background_migrations: {workers: '", "'}"},
		{"databases: {a: {url: host=h, schema: {migrations: '", "'}}}"},
		{"databases: {a: {url: host=h, schema: {command: [a, '", "'], models: {command: [b]}}}}"},
		{"databases: {a: {url: host=h}}\nprofiles: {'", "': [a]}"},
		{"databases: {a: {url: host=h}}\ndiscover: '", "'"},
		{"databases: {a: {url: host=h}}\ndevelopment_mode: true\nforce_recreate: '", "'"},
	} {
		for format := range uint8(3) {
			f.Add(format, []byte(seed.before), []byte(seed.after))
		}
	}
	formats := []string{"x.yaml", "x.toml", "x.json"}
	f.Fuzz(func(t *testing.T, format uint8, before, after []byte) {
		const secret = "hunter2"
		if bytes.Contains(before, []byte(secret)) || bytes.Contains(after, []byte(secret)) {
			t.Skip("the secret is elsewhere as well")
		}
		content := append(append(bytes.Clone(before), "postgres://u:"+secret+"@h:1/db"...), after...)
		cfg, err := config.Parse(formats[int(format)%len(formats)], content, config.Sources{Environ: []string{}})
		if err != nil {
			require.NotContains(t, err.Error(), secret)
			_, ok := errors.AsType[*config.KeyError](err)
			require.True(t, ok, "%v", err)
			return
		}
		require.NoError(t, cfg.Validate())
		var shown bytes.Buffer
		require.NoError(t, cfg.WriteYAML(&shown))
		require.NotContains(t, shown.String(), secret)
	})
}
