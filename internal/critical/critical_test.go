package critical_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/bbmd-dev/bbmd/internal/critical"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNobodyIsToldWithoutADSN(t *testing.T) {
	t.Parallel()
	r, err := critical.New(critical.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.Nil(t, r)
	r.Report(critical.Event{Kind: critical.SourceDown})
	r.Close(time.Second)
}

func TestWrongDSNIsNotShown(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{"hunter2", "https://hunter2@sentry.example", "https://sentry.example/hunter2"} {
		_, err := critical.New(critical.Options{DSN: dsn, Logger: slog.New(slog.DiscardHandler)})
		require.ErrorContains(t, err, "sentry.dsn")
		require.NotContains(t, err.Error(), "hunter2")
	}
}

// An event has the fields of its kind, the environment and the release, and
// nothing of the process: no stack, no modules, no variables.
func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	posted := make(chan []byte, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			posted <- body
		}
	}))
	t.Cleanup(server.Close)
	var log bytes.Buffer
	r, err := critical.New(critical.Options{
		DSN: strings.Replace(server.URL, "http://", "http://s3cr3t@", 1) + "/7", Environment: "staging", Version: "v1.2.3",
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	require.NoError(t, err)
	r.Report(critical.Event{
		Kind: critical.MigrationFailed, Database: "auth", Migration: "names", Work: "copy", Table: "public.users",
		Job: 12, Range: "keys after 5 up to 9", SQLState: "23505",
	})
	r.Report(critical.Event{Kind: critical.SourceDown, Database: "auth", For: 301 * time.Second})
	r.Close(30 * time.Second)
	close(posted)
	var all bytes.Buffer
	for body := range posted {
		all.Write(body)
	}
	for _, want := range []string{
		`"environment":"staging"`, `"release":"bbmd@v1.2.3"`, `"message":"background migration failed"`, `"level":"error"`,
		`"sqlstate":"23505"`, `"range":"keys after 5 up to 9"`, `"job":"12"`, `"message":"source of events is down"`, `"for":"5m1s"`,
	} {
		require.Contains(t, all.String(), want)
	}
	for _, unwanted := range []string{`"stacktrace"`, `"modules"`, `"GOROOT"`, `"device"`, `"breadcrumbs"`, `"user":{"`} {
		require.NotContains(t, all.String(), unwanted)
	}
	require.NotContains(t, log.String(), "s3cr3t")
	require.Equal(t, 2, strings.Count(log.String(), "error reported"))
}
