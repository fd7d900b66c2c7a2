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

// TestMetricsGolden pins every name, label and help text: dashboards and
// alerts depend on them.
func TestMetricsGolden(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	metrics := health.NewMetrics(registry)
	metrics.Database("idle")
	d := metrics.Database("auth")
	d.ListenerConnected(true)
	d.ListenerReconnected()
	d.Event("bbm_new")
	d.Reconciled()
	d.WokeToReconcile(20 * time.Microsecond)
	d.Claimed(2 * time.Millisecond)
	d.Batch("copy", "finished", 1000, 40*time.Millisecond)
	d.Batch("copy", "retried", -1, 0)
	d.Batch("gone", "finished", 1, 0)
	d.Retried("copy")
	d.Retried("gone")
	d.TookOver(2)
	d.Migrations(map[string]int{"running": 1, "finished": 2})
	d.Progress("copy", 0.25)
	d.Duty("copy", 0.5)
	d.Duty("gone", 0)
	d.Progress("gone", 7)
	d.SchemaUp(true)
	d.SchemaRun("migrate", "finished")
	d.Forget("gone")
	metrics.ConfigReloaded(false)

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

// TestMetricsAreDocumented holds the list in the comment of Metrics against
// what exists.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("metrics.go")
	require.NoError(t, err)
	golden, err := os.ReadFile(filepath.Join("testdata", "metrics.txt"))
	require.NoError(t, err)
	documented := regexp.MustCompile(`(?m)^//\t(bbmd_\w+)\S* +(\w+) `).FindAllStringSubmatch(string(source), -1)
	existing := regexp.MustCompile(`(?m)^# TYPE (bbmd_\w+) (\w+)$`).FindAllStringSubmatch(string(golden), -1)
	types := func(found [][]string) map[string]string {
		byName := map[string]string{}
		for _, match := range found {
			byName[match[1]] = match[2]
		}
		return byName
	}
	require.Empty(t, cmp.Diff(types(documented), types(existing)))
}
