package daemon_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

const dashboardToken = "a token of the tests"

// withDashboard gives a configuration a dashboard.
func withDashboard(cfg daemon.Config) daemon.Config {
	cfg.Dashboard.Listen, cfg.Dashboard.Token = "127.0.0.1:0", dashboardToken
	return cfg
}

// ask sends a request to the dashboard.
func (i *instance) ask(ctx context.Context, method, path string, body any) *http.Response {
	i.t.Helper()
	text, err := json.Marshal(body)
	require.NoError(i.t, err)
	request, err := http.NewRequestWithContext(ctx, method, "http://"+i.DashboardAddr().String()+path, bytes.NewReader(text))
	require.NoError(i.t, err)
	request.Header.Set("Authorization", "Bearer "+dashboardToken)
	request.Header.Set("Content-Type", "application/json")
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	require.NoError(i.t, err)
	return response
}

// api answers a request that has to succeed.
func (i *instance) api(method, path string, body any) string {
	i.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(i.t.Context()), patience)
	defer cancel()
	response := i.ask(ctx, method, "/api/v1"+path, body)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(i.t, err)
	require.Less(i.t, response.StatusCode, 300, string(text))
	return string(text)
}

// Who looks at the dashboard sees a migration that somebody enqueues there run to
// its end, by events alone.
func TestDashboardShowsWhatHappens(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 500)
	i := start(t, withDashboard(configFor(t, db)))
	i.waitReady()
	require.Contains(t, i.api(http.MethodGet, "/databases", nil), `"name":"default","ready":true`)
	require.Contains(t, i.api(http.MethodGet, "/works", nil), `"name":"bump"`)
	require.Contains(t, i.api(http.MethodGet, "/databases/default", nil), `"configured":false`)

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream := i.ask(ctx, http.MethodGet, "/events?page="+url.QueryEscape("/databases/default"), nil)
	defer func() { _ = stream.Body.Close() }()
	require.Equal(t, http.StatusOK, stream.StatusCode)
	i.api(http.MethodPost, "/databases/default/migrations", map[string]any{"job_signature_name": "bump", "table_name": "t", "name": "t", "batch_size": 100})
	lines := bufio.NewScanner(stream.Body)
	lines.Buffer(nil, 1<<20)
	finished := false
	for !finished && lines.Scan() {
		finished = strings.Contains(lines.Text(), `pill finished">finished`)
	}
	require.True(t, finished, lines.Err())
	waitFinished(t, db, "t")
	require.Contains(t, i.api(http.MethodGet, "/databases/default/replicas", nil), `"listeners":1`)
	require.Contains(t, i.api(http.MethodGet, "/databases/default/migrations/t/audit", nil), "bbmd dashboard: somebody@127.0.0.1")
	i.stop() // although somebody is still looking
}

// What is finalized through the dashboard runs although background migrations are off.
func TestDashboardFinalizes(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 500)
	cfg := withDashboard(configFor(t, db))
	cfg.BackgroundMigrations.Enabled = false
	i := start(t, cfg)
	i.waitReady()
	enqueue(t, db, "bump", "t", 50)
	i.api(http.MethodPost, "/databases/default/migrations/t/actions/finalize", nil)
	waitFinished(t, db, "t")
	i.log.waitFor(t, `msg=finalized .*migration=t status=finished`)
	require.Equal(t, "finalize", pgtest.One[string](t, db, "SELECT what FROM bbm.changes"))
}

// A dashboard whose port is taken keeps nothing else's.
func TestDashboardPortIsTaken(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	first := start(t, withDashboard(configFor(t, db)))
	cfg := withDashboard(configFor(t, db))
	cfg.Dashboard.Listen = first.DashboardAddr().String()
	second, err := daemon.New(cfg)
	require.NoError(t, err)
	require.ErrorContains(t, second.Listen(t.Context()), "dashboard.listen")
	require.Nil(t, second.Addr())

	cfg.Dashboard.Listen, cfg.HTTP.Listen = "127.0.0.1:0", first.Addr().String()
	second, err = daemon.New(cfg)
	require.NoError(t, err)
	require.ErrorContains(t, second.Listen(t.Context()), "http.listen")

	cfg.Dashboard.Listen, cfg.Dashboard.Token = ":0", ""
	_, err = daemon.New(cfg)
	require.ErrorContains(t, err, "without a token")
	first.waitReady()
}
