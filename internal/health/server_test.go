package health_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/health"
)

const patience = time.Minute

var errStop = errors.New("the test is over")

// running is a Server that runs, on a port of its own.
type running struct {
	*health.Server
	t    *testing.T
	stop context.CancelCauseFunc
	done chan error // what Run returned, once
}

func start(t *testing.T, options health.Options) *running {
	t.Helper()
	options.Listen = "127.0.0.1:0"
	r := &running{Server: health.New(options), t: t, done: make(chan error, 1)}
	require.NoError(t, r.Listen(t.Context()))
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	r.stop = cancel
	go func() { r.done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel(errStop)
		select {
		case err := <-r.done:
			require.ErrorIs(t, err, errStop)
		case <-time.After(patience):
			t.Error("Run does not return")
		}
	})
	return r
}

// get returns the status and the body of a GET.
func (r *running) get(path string, header ...string) (status int, body string) {
	r.t.Helper()
	status, body, err := r.try(http.MethodGet, path, header...)
	require.NoError(r.t, err)
	return status, body
}

func (r *running) try(method, path string, header ...string) (status int, body string, err error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.t.Context()), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+r.Addr().String()+path, http.NoBody)
	require.NoError(r.t, err)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	require.NoError(r.t, err)
	require.True(r.t, response.StatusCode >= 400 || path == "/metrics" || response.Header.Get("Cache-Control") == "no-store")
	return response.StatusCode, string(content), nil
}

func TestProbes(t *testing.T) {
	t.Parallel()
	r := start(t, health.Options{Redact: func(text string) string { return strings.ReplaceAll(text, "hunter2", "***") }})
	status, body := r.get("/livez")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "alive\n", body)

	listener, database := health.NewCondition("listener/auth"), health.NewCondition("database/auth")
	r.AddReady(listener, database)
	r.AddLive(health.CheckFunc("executor/auth", func(context.Context) error { return nil }))
	listener.Set(nil)
	status, body = r.get("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "not ready: database/auth: not known yet\n", body)

	database.Set(errors.New("connect with password hunter2:\n\trefused"))
	status, body = r.get("/readyz?verbose")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "[-] database/auth: connect with password ***: refused\n[+] listener/auth ok\nnot ready\n", body)
	status, body = r.get("/livez?verbose")
	require.Equal(t, http.StatusOK, status, "a database that is down is no reason to restart")
	require.Equal(t, "[+] executor/auth ok\nalive\n", body)

	database.Set(nil)
	status, body = r.get("/readyz")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "ready\n", body)
}

func TestProbesAsJSON(t *testing.T) {
	t.Parallel()
	r := start(t, health.Options{})
	r.AddReady(
		health.CheckFunc("b", func(context.Context) error { return errors.New("why not") }),
		health.CheckFunc("a", func(context.Context) error { return nil }),
	)
	for _, how := range [][]string{{"/readyz?format=json"}, {"/readyz", "Accept", "application/json"}} {
		status, body := r.get(how[0], how[1:]...)
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Regexp(t, `^\{
  "status": "failing",
  "checks": \[
    \{
      "name": "a",
      "status": "ok",
      "duration_ms": [0-9.]+
    \},
    \{
      "name": "b",
      "status": "failing",
      "error": "why not",
      "duration_ms": [0-9.]+
    \}
  \]
\}
$`, body)
	}
	_, body := r.get("/livez?format=json")
	require.JSONEq(t, `{"status": "ok", "checks": []}`, body)
}

func TestOtherRequests(t *testing.T) {
	t.Parallel()
	r := start(t, health.Options{})
	for _, test := range []struct {
		method, path string
		want         int
	}{
		{http.MethodHead, "/readyz", http.StatusOK},
		{http.MethodPost, "/readyz", http.StatusMethodNotAllowed},
		{http.MethodGet, "/", http.StatusNotFound},
		{http.MethodGet, "/metrics", http.StatusNotFound},
	} {
		status, _, err := r.try(test.method, test.path)
		require.NoError(t, err)
		require.Equal(t, test.want, status, test)
	}
}

func TestACheckThatHangsIsAskedOnce(t *testing.T) {
	t.Parallel()
	r := start(t, health.Options{CheckTimeout: 50 * time.Millisecond})
	release := make(chan struct{})
	asked := make(chan struct{}, 10)
	r.AddLive(health.CheckFunc("stuck", func(context.Context) error {
		asked <- struct{}{}
		<-release
		return nil
	}))
	for range 3 {
		status, body := r.get("/livez")
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Equal(t, "not alive: stuck: no answer in time\n", body)
	}
	require.Len(t, asked, 1)
	close(release)
	require.Eventually(t, func() bool {
		status, _ := r.get("/livez")
		return status == http.StatusOK
	}, patience, time.Millisecond, "it recovers when the check does")
}

func TestACheckIsToldTheDeadline(t *testing.T) {
	t.Parallel()
	r := start(t, health.Options{CheckTimeout: 50 * time.Millisecond})
	r.AddLive(health.CheckFunc("loop", func(ctx context.Context) error {
		<-ctx.Done()
		return context.Cause(ctx)
	}))
	status, _ := r.get("/livez")
	require.Equal(t, http.StatusServiceUnavailable, status)
}

func TestACheckThatPanicsFails(t *testing.T) {
	t.Parallel()
	r := start(t, health.Options{})
	r.AddLive(health.CheckFunc("broken", func(context.Context) error { panic("oh") }))
	_, body := r.get("/livez")
	require.Equal(t, "not alive: broken: the check panicked: oh\n", body)
}

func TestReadinessDropsFirstAndServingEndsLast(t *testing.T) {
	t.Parallel()
	drained := make(chan struct{})
	r := start(t, health.Options{Done: drained})
	status, _ := r.get("/readyz")
	require.Equal(t, http.StatusOK, status)

	r.stop(errStop)
	status, body := r.get("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "not ready: shutdown: bbmd is stopping\n", body)
	status, _ = r.get("/livez")
	require.Equal(t, http.StatusOK, status, "draining is no reason to be killed")
	require.Empty(t, r.done)

	close(drained)
	select {
	case err := <-r.done:
		require.ErrorIs(t, err, errStop)
		r.done <- err // for the cleanup
	case <-time.After(patience):
		t.Fatal("Run does not return")
	}
	_, _, err := r.try(http.MethodGet, "/livez")
	require.Error(t, err, "the port is free again")
}

func TestAPortThatIsTaken(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	taken, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	err = health.New(health.Options{Listen: taken.Addr().String()}).Run(t.Context())
	require.ErrorContains(t, err, "listen for probes and metrics: listen tcp "+taken.Addr().String())
	require.ErrorContains(t, err, "address already in use; another process, perhaps another bbmd, has the port: stop it, or set http.listen")
}

func TestAnAddressThatIsNotOurs(t *testing.T) {
	t.Parallel()
	err := health.New(health.Options{Listen: "192.0.2.1:0"}).Listen(t.Context())
	require.ErrorContains(t, err, "set http.listen to an address of this machine")
}

func TestNoAddressMeansNoServer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	server := health.New(health.Options{})
	require.NoError(t, server.Listen(ctx))
	require.Nil(t, server.Addr())
	cancel(errStop)
	require.ErrorIs(t, server.Run(ctx), errStop)
}
