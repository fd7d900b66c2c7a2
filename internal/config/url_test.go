package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	yamlv3 "go.yaml.in/yaml/v3"

	"github.com/bbmd-dev/bbmd/internal/config"
)

func TestURLNeverShowsItsPassword(t *testing.T) {
	t.Parallel()
	db := config.Database{URL: "postgres://app:hunter2@h/db", ListenURL: "host=h password=hunter2"}
	var logs bytes.Buffer
	slog.New(slog.NewTextHandler(&logs, nil)).InfoContext(t.Context(), "m", "url", db.URL, "db", db)
	slog.New(slog.NewJSONHandler(&logs, nil)).InfoContext(t.Context(), "m", "url", db.URL, "db", db)
	asJSON, err := json.Marshal(db)
	require.NoError(t, err)
	asYAML, err := yamlv3.Marshal(db)
	require.NoError(t, err)
	shown := []string{
		logs.String(), string(asJSON), string(asYAML), db.URL.String(), fmt.Sprint(db), fmt.Sprintf("%+v", &db), fmt.Sprintf("%#v", db),
		fmt.Sprintf("%s|%q|%x|%d|%20v", db.URL, db.URL, db.URL, db.URL, db.URL), fmt.Sprint(map[string]config.URL{"u": db.URL}),
		fmt.Errorf("connect %v", db.URL).Error(),
	}
	for _, text := range shown {
		require.NotContains(t, text, "hunter2")
		require.NotContains(t, text, fmt.Sprintf("%x", "hunter2"))
		require.Contains(t, text, "postgres://app:***@h/db")
	}
	require.Equal(t, "postgres://app:hunter2@h/db", string(db.URL), "whoever connects has it")
}

func TestMask(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"":                            "",
		"postgres://app:pw@h:5432/db": "postgres://app:***@h:5432/db",
		"postgresql://app:pw@h/db":    "postgresql://app:***@h/db",
		"postgres://app@h/db":         "postgres://app@h/db",
		"postgresql+asyncpg://app:pw@h/db?ssl=require": "postgresql+asyncpg://app:***@h/db?ssl=require",
		"postgres://h":                                "postgres://h",
		"postgres://:pw@h":                            "postgres://:***@h",
		"postgres://app:p:w@h/db":                     "postgres://app:***@h/db",
		"postgres://app:p%40w@h/db":                   "postgres://app:***@h/db",
		"postgres://app:pw@a:1,b:2/db":                "postgres://app:***@a:1,b:2/db",
		"postgres://app:pw@[::1]:5432/db":             "postgres://app:***@[::1]:5432/db",
		"postgres:///db?host=/tmp&user=app":           "postgres:///db?host=/tmp&user=app",
		"postgres://h/db?password=pw&sslmode=disable": "postgres://h/db?password=***&sslmode=disable",
		"postgres://h/db?pass%77ord=pw":               "postgres://h/db?pass%77ord=***",
		"host=h user=app password=pw dbname=db":       "host=h user=app password=*** dbname=db",
		"host = h password = 'p w\\'x' user=app":      "host=h password=*** user=app",
		"sslpassword=pw":                              "sslpassword=***",
		// Ambiguous: masked in full.
		"postgres://app:p@w@h/db":       "***",
		"postgres://app:p/w@h/db":       "***",
		"postgres://app:1/w@h/db":       "***",
		"postgres://app:1?w@h/db":       "***",
		"postgres://app:p#w@h/db":       "postgres://app:***@h/db",
		"postgres://app:1#w":            "***",
		"postgres://app:pw":             "***",
		"postgres://h/db?password=p&w":  "***",
		"postgres://h/db?password=p@w":  "***",
		"postgres://h/db?pass%zzword=p": "***",
		"password=a b=c host=h":         "***",
		"password=a b host=h":           "***",
		"password='a b host=h":          "***",
		"pw":                            "***",
		"mysql://app:pw@h/db":           "***",
	}
	for conn, want := range tests {
		t.Run(conn, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, want, config.Mask(conn))
		})
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"nothing to hide: 5 rows at 10:15":                                  "nothing to hide: 5 rows at 10:15",
		`password authentication failed for user "app"`:                     `password authentication failed for user "app"`,
		"connect to postgres://app:pw@h/db: refused":                        "connect to postgres://app:***@h/db: refused",
		"see https://example.com/docs?x=y@z":                                "see https://***",
		"see https://example.com/docs":                                      "see https://example.com/docs",
		"amqp://guest:pw@h and more":                                        "amqp://guest:***@h and more",
		"postgres://app:my pw@h/db is wrong":                                "postgres://app:***@h/db is wrong",
		"a postgres://app:pw@h/db b postgres://app:pw@h/db c":               "a postgres://*** c",
		"postgres://app:pw is cut short":                                    "postgres://*** is cut short",
		"cannot parse `host=h password=pw dbname=db`: bad":                  "cannot parse `host=h password=*** dbname=db`: bad",
		"password = 'p w' host=h":                                           "password = *** host=h",
		`{"db_password": "pw", "user": "app"}`:                              `{"db_password": ***, "user": "app"}`,
		"PGPASSWORD=pw psql":                                                "PGPASSWORD=*** psql",
		"client_secret: pw; next":                                           "client_secret: *** next",
		"ALTER ROLE app PASSWORD 'x' is not found by this, it has no equal": "ALTER ROLE app PASSWORD 'x' is not found by this, it has no equal",
	}
	for text, want := range tests {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, want, config.Redact(text))
		})
	}
}

func FuzzMask(f *testing.F) {
	for _, part := range []string{"", "a", "a@", "p/w", "?x=", "#", "'a b", `\\`, ":5432/", "%40", "&password=", "@h,i:5/"} {
		f.Add(part, part)
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		const secret = "hunter2"
		if strings.Contains(before+after, secret) {
			t.Skip("the secret is elsewhere as well")
		}
		conn := "postgres://u:" + before + secret + "@h" + after
		require.NotContains(t, config.Mask(conn), secret, "%q", conn)
		if !strings.Contains(before, "\n") {
			require.NotContains(t, config.Redact("open "+conn+": refused"), secret, "%q", conn)
		}
		conn = "password=" + before + secret + " " + after
		if !strings.Contains(before, "=") {
			require.NotContains(t, config.Mask(conn), secret, "%q", conn)
		}
		if !strings.ContainsFunc(before, func(r rune) bool { return unicode.IsSpace(r) || r == '\'' || r == '"' }) {
			require.NotContains(t, config.Redact("open "+conn+": refused"), secret, "%q", conn)
		}
	})
}
