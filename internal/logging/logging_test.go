package logging_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/logging"
)

const (
	jsonLine = `^\{"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z","level":"INFO","msg":"started","workers":2,"error":"oh"\}\n$`
	textLine = `^\d\d:\d\d:\d\d\.\d{3} INF started workers=2 error=oh\n$`
	tintLine = "\x1b\\[.*INF.*started.*workers=.*2.*91merror=.*oh"
)

func TestFormats(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		format   config.LogFormat
		terminal bool
		environ  map[string]string
		want     string
	}{
		"auto on a terminal":      {config.LogAuto, true, nil, tintLine},
		"auto elsewhere":          {config.LogAuto, false, nil, jsonLine},
		"text on a terminal":      {config.LogText, true, nil, tintLine},
		"text elsewhere":          {config.LogText, false, nil, textLine},
		"JSON on a terminal":      {config.LogJSON, true, nil, jsonLine},
		"nothing said":            {"", false, nil, jsonLine},
		"NO_COLOR":                {config.LogAuto, true, map[string]string{"NO_COLOR": "1"}, textLine},
		"a terminal that can not": {config.LogAuto, true, map[string]string{"TERM": "dumb"}, textLine},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			getenv := func(name string) string { return test.environ[name] }
			logger, _ := logging.NewLogger(&out, config.Log{Format: test.format}, test.terminal, getenv)
			logger.InfoContext(t.Context(), "started", "workers", 2, "error", errors.New("oh"))
			require.Regexp(t, test.want, out.String())
		})
	}
}

func TestAFileIsNoTerminal(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	logger, _ := logging.New(file, config.Default().Log)
	logger.InfoContext(t.Context(), "started", "workers", 2, "error", errors.New("oh"))
	content, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	require.Regexp(t, jsonLine, string(content))
}

func TestLevelIsLive(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger, level := logging.New(&out, config.Log{Level: slog.LevelWarn})
	logger.InfoContext(t.Context(), "one")
	level.Set(slog.LevelDebug)
	logger.With("a", 1).DebugContext(t.Context(), "two")
	require.NotContains(t, out.String(), "one")
	require.Contains(t, out.String(), "two")
}

func TestNoSecretIsWritten(t *testing.T) {
	t.Parallel()
	const conn = "postgres://app:hunter2@h:5432/db"
	link, err := url.Parse(conn)
	require.NoError(t, err)
	for _, format := range []config.LogFormat{config.LogJSON, config.LogText} {
		for name, attr := range map[string]slog.Attr{
			"url":          slog.Any("url", config.URL(conn)),
			"database":     slog.Any("db", config.Database{URL: conn, ListenURL: "password=hunter2"}),
			"pointer":      slog.Any("db", &config.Database{URL: conn}),
			"group":        slog.Group("db", "url", config.URL(conn), "text", conn),
			"text":         slog.String("text", "cannot reach "+conn),
			"pairs":        slog.String("text", "host=h password=hunter2 user=app"),
			"error":        slog.Any("error", fmt.Errorf("connect: %w", errors.New("dial "+conn))),
			"bytes":        slog.Any("output", []byte("PGPASSWORD=hunter2 psql")),
			"list":         slog.Any("args", []string{"psql", conn}),
			"parsed":       slog.Any("link", link),
			"password key": slog.String("db_password", "hunter2"),
			"token key":    slog.Any("token", []int{1}),
		} {
			var out bytes.Buffer
			logger, _ := logging.New(&out, config.Log{Format: format})
			logger.InfoContext(t.Context(), "a message with "+conn, attr)
			logger.With(attr).WithGroup("g").InfoContext(t.Context(), "again", attr)
			require.NotContains(t, out.String(), "hunter2", name)
			require.Contains(t, out.String(), "a message with postgres://app:***@h:5432/db", name)
		}
	}
}

func TestOtherValuesStayThemselves(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger, _ := logging.New(&out, config.Log{Format: config.LogText})
	logger.InfoContext(t.Context(), "m", "n", 1, "yes", true, "list", []string{"a", "b"}, "nothing", nil, "bytes", []byte("ok"))
	require.Regexp(t, `INF m n=1 yes=true list="\[a b\]" nothing=<nil> bytes=ok\n$`, out.String())
}
