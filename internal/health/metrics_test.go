package health_test

import (
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/health"
)

var update = flag.Bool("update", false, "write the golden files")

// changing is what differs from one run to the next.
var changing = regexp.MustCompile(`(?m)^(bbmd_config_last_reload_success_timestamp_seconds) .*$`)

// everything returns a registry in which every metric of bbmd has a value.
func everything() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	metrics := health.NewMetrics(registry)
	metrics.Database("idle")
	d := metrics.Database("auth")
	d.Up(true)
	d.ListenerConnected(true)
	d.ListenerReconnected()
	d.Stream(func() (uint64, bool) { return 4096, true })
	metrics.Database("idle").Stream(func() (uint64, bool) { return 0, false })
	d.Event("bbm_new")
	d.Reconciled(time.Millisecond)
	d.ScanFailed()
	d.WokeToReconcile(20 * time.Microsecond)
	d.WokeToWorker(3 * time.Millisecond)
	d.Workers(1, 2)
	d.TookOver(2)
	d.Migrations(map[string]int{"running": 1, "finished": 2})
	d.SchemaUp(true)
	d.SchemaRun("migrate", "finished", 2*time.Second)
	d.Claimed(2 * time.Millisecond)
	for _, migration := range []string{"copy", "ended", "gone"} {
		d.Batch(migration, "finished", 1000, 40*time.Millisecond)
		d.Batch(migration, "failed", -1, 0)
		d.Count(migration, 900, 1000, 45*time.Millisecond)
		d.Retried(migration)
		d.Split(migration)
		d.Quarantined(migration)
		d.Progress(migration, 0.25)
		d.Throttled(migration, "replica_lag", 0)
		d.Throttled(migration, "busy", 0.5)
	}
	d.MigrationEnded("ended", "finished")
	d.Forget("gone")
	metrics.Plugins("process", "ok", 1)
	metrics.PluginStarted("geo")
	metrics.PluginCrashed("geo")
	metrics.PluginAnswered("geo")
	metrics.PluginStarted("gone")
	metrics.ForgetPlugin("gone")
	metrics.ConfigReloaded(false)
	return registry
}

// TestMetricsGolden pins every name, label and help text, and what is left of a
// migration that has ended: dashboards and alerts depend on them.
func TestMetricsGolden(t *testing.T) {
	t.Parallel()
	registry := everything()
	r := start(t, health.Options{Gatherer: registry})
	status, body := r.get("/metrics")
	require.Equal(t, http.StatusOK, status)
	got := changing.ReplaceAllString(body, "$1 0")
	golden := filepath.Join("testdata", "metrics.txt")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(string(want), got))
}

func TestMetricsAreWellNamed(t *testing.T) {
	t.Parallel()
	registry := health.NewRegistry("v1.2.3")
	health.NewMetrics(registry).Database("auth").Batch("m", "finished", 1, time.Second)
	_, body := start(t, health.Options{Gatherer: registry}).get("/metrics")
	require.Contains(t, body, `version="v1.2.3"`)
	require.Contains(t, body, "go_goroutines")
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	require.NoError(t, err)
	for _, problem := range problems {
		require.False(t, strings.HasPrefix(problem.Metric, "bbmd_"), "%s: %s", problem.Metric, problem.Text)
	}
}
