package notify_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/notify"
)

func TestNewListenerRefuses(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"postgres://u:S3CR3T/S3CR3T@h/db":             "percent-encode",
		"postgres://u:S3CR3T%zz@h/db":                 "percent-encode",
		"postgres://u:S3CR3T@h:port/db":               "port",
		"postgres://u:S3CR3T@h/db?sslmode=maybe":      "sslmode",
		"host=h password=S3CR3T sslmode=maybe":        "parse connection string",
		"host=h sslmode=maybe password='S3CR3T S3C":   "sslmode",
		"host=h port=x password=S3CR3T and S3CR3T":    "parse connection string",
		"postgres://h/db?port=x&password=S3CR3T":      "port",
		"postgres://h/db?port=x&sslpassword=S3CR3T%z": "parse connection string",
	} {
		_, err := notify.NewListener(notify.ListenerConfig{URL: url})
		require.ErrorContains(t, err, want, url)
		require.NotContains(t, err.Error(), "S3C", url)
		require.NotContains(t, err.Error(), "\n", url)
	}
	_, err := notify.NewListener(notify.ListenerConfig{URL: secretURL, PingTimeout: -1})
	require.ErrorContains(t, err, "negative")
}

func TestNewListenerTakesPoolSettings(t *testing.T) {
	t.Parallel()
	_, err := notify.NewListener(notify.ListenerConfig{
		URL: "postgres://u:p@h/db?pool_max_conns=3&default_query_exec_mode=exec",
	})
	require.NoError(t, err)
}

// No error of a connection string tells its password, however it is malformed.
func FuzzNewListener(f *testing.F) {
	forms := []string{
		"postgres://u:PASSWORD@h:x/db?sslmode=maybe",
		"postgresql://u:PASSWORD@[h/db",
		"postgres://h/db?port=x&password=PASSWORD",
		"postgres://h/db?sslpassword=PASSWORD&port=x",
		"host=h port=x password=PASSWORD sslmode=maybe",
		"host=h password = 'PASSWORD' sslmode=maybe",
	}
	for _, seed := range []string{"", "/", "%", "@", "?x=y", "' '", "\\'", "://", " sslmode=x ", "&port=", "&%", "#", "[", ":99999"} {
		for form := range forms {
			f.Add(uint8(form), seed)
		}
	}
	f.Fuzz(func(t *testing.T, form uint8, middle string) {
		url := strings.ReplaceAll(forms[int(form)%len(forms)], "PASSWORD", "S3CR3T"+middle+"S3CR3T")
		if _, err := notify.NewListener(notify.ListenerConfig{URL: url}); err != nil {
			require.NotContains(t, err.Error(), "S3CR3T", url)
		}
	})
}
