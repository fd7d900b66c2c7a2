package daemon_test

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/executor"
)

// However many migrations come and go, and whoever ends them, the metrics of a
// bounded number stay; and what is told late of one that is over changes nothing.
func TestMetricsOfMigrationsAreBounded(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	o := daemon.NewObserver(registry)
	series := func(name string) int {
		families, err := registry.Gather()
		require.NoError(t, err)
		for _, family := range families {
			if family.GetName() == name {
				return len(family.GetMetric())
			}
		}
		return 0
	}
	for i := range 1000 {
		name := fmt.Sprintf("m%d", i)
		o.Listed([]string{name})
		o.BatchDone(name, "finished", 1, 1)
		o.Counted(name, executor.Count{Keys: 1, BatchSize: 10, P90: 1})
		o.Throttled(name, "busy", 0.5)
		o.Progressed(name, 0.5)
		if i%2 == 0 { // the others are ended by another replica
			o.MigrationEnded(name, "finished")
		}
	}
	o.Listed(nil)
	require.Equal(t, 100, series("bbmd_batches_total"))
	require.Equal(t, 100, series("bbmd_migration_progress_ratio"))
	for _, gauge := range []string{"bbmd_batch_size_keys", "bbmd_batch_p90_seconds", "bbmd_migration_duty_ratio", "bbmd_migration_throttled"} {
		require.Zero(t, series(gauge), gauge)
	}

	o.Throttled("m998", "", 1)
	o.Progressed("m998", 0.9)
	o.Counted("m998", executor.Count{Keys: 1, BatchSize: 10, P90: 1})
	require.Zero(t, series("bbmd_migration_duty_ratio")+series("bbmd_batch_size_keys"))

	// One that is tried again is open again.
	o.Listed([]string{"m998"})
	o.Throttled("m998", "", 1)
	require.Equal(t, 1, series("bbmd_migration_duty_ratio"))
}
