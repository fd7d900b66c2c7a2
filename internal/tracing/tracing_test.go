package tracing_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/bbmd-dev/bbmd/internal/tracing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestNothingWithoutAnEndpoint(t *testing.T) {
	t.Parallel()
	for _, environ := range []map[string]string{
		nil, {"OTEL_SERVICE_NAME": "x"}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:1", "OTEL_SDK_DISABLED": "true"},
	} {
		p, err := tracing.New(t.Context(), tracing.Options{Getenv: func(name string) string { return environ[name] }, Logger: quiet()})
		require.NoError(t, err)
		require.Nil(t, p)
		require.Nil(t, p.Tracer(), "who has no provider gets no tracer, and pays nothing")
		require.NoError(t, p.Shutdown(t.Context()))
	}
}

func TestWrongEndpointIsNotShown(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"hunter2", "ftp://hunter2", "http://me:hunter2@collector:4318", "http://", "http://%zz"} {
		_, err := tracing.New(t.Context(), tracing.Options{Endpoint: endpoint, Logger: quiet()})
		require.ErrorContains(t, err, "http://collector:4318")
		require.NotContains(t, err.Error(), "hunter2")
	}
}

// The log hears once of an outage and once of its end, whatever is lost meanwhile.
func TestOutageIsToldOnce(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	down.Store(true)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if down.Load() {
			w.WriteHeader(http.StatusBadRequest) // one that is not tried again
		}
	}))
	t.Cleanup(server.Close)
	var log bytes.Buffer
	p, err := tracing.New(t.Context(), tracing.Options{Endpoint: server.URL + "/", Version: "v1", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	send := func() {
		_, span := p.Tracer().Start(t.Context(), "batch")
		span.End()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		require.NoError(t, p.Flush(ctx))
	}
	send()
	send()
	down.Store(false)
	send()
	send()
	require.NoError(t, p.Shutdown(t.Context()))
	require.Equal(t, 1, strings.Count(log.String(), "traces not sent"), log.String())
	require.Equal(t, 1, strings.Count(log.String(), "traces sent again"), log.String())
}
