package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
)

const dsn = "https://4c0ffee5ec9e7@o1.sentry.example/42"

func TestSentryDSNIsNeverShown(t *testing.T) {
	t.Parallel()
	secret := config.Secret(dsn)
	marshalled, err := json.Marshal(secret)
	require.NoError(t, err)
	for _, shown := range []string{
		fmt.Sprint(secret), fmt.Sprintf("%v %+v %#v %q %s %x", secret, secret, secret, secret, secret, secret),
		fmt.Sprintf("%+v", config.Sentry{DSN: secret}), secret.GoString(), secret.LogValue().String(), string(marshalled),
		config.Redact("cannot reach " + dsn + ": no such host"),
	} {
		require.NotContains(t, shown, "4c0ffee5ec9e7")
		require.Contains(t, shown, "***")
	}
	require.Empty(t, config.Secret("").String())

	cfg, err := config.Load(given{environ: []string{"DATABASE_URL=host=h", "SENTRY_DSN=" + dsn}}.sources(t))
	require.NoError(t, err)
	require.Equal(t, dsn, string(cfg.Sentry.DSN))
	var out bytes.Buffer
	require.NoError(t, cfg.WriteYAML(&out))
	require.Contains(t, out.String(), `dsn: '***' # env SENTRY_DSN`)
	require.NotContains(t, out.String()+fmt.Sprintf("%+v %#v", cfg, cfg), "4c0ffee5ec9e7")
}

func TestOwnVariableOfTheDSNWins(t *testing.T) {
	t.Parallel()
	const other = "https://other@sentry.example/1"
	cfg, err := config.Load(given{environ: []string{"DATABASE_URL=host=h", "SENTRY_DSN=" + dsn, "BBMD_SENTRY__DSN=" + other}}.sources(t))
	require.NoError(t, err)
	require.Equal(t, other, string(cfg.Sentry.DSN))
}

func TestWrongEndpointsAreNotQuoted(t *testing.T) {
	t.Parallel()
	for name, environ := range map[string]string{
		"not a DSN":            "SENTRY_DSN=hunter2",
		"a DSN without key":    "BBMD_SENTRY__DSN=https://hunter2.example/1",
		"a DSN without number": "BBMD_SENTRY__DSN=https://hunter2@sentry.example",
		"not a URL":            "BBMD_TRACING__ENDPOINT=hunter2:4318",
		"a URL with password":  "BBMD_TRACING__ENDPOINT=http://me:hunter2@collector:4318",
	} {
		_, err := config.Load(given{environ: []string{"DATABASE_URL=host=h", environ}}.sources(t))
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "hunter2", name)
	}
}
