package bench_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/bench"
)

// The figures of so small a run mean nothing. That it ends without an error means that every row was
// changed exactly once, and that the planner looks batches up by an index alone.
func TestEveryScaleSectionRuns(t *testing.T) {
	t.Parallel()
	report, err := bench.Scale(t.Context(), bench.Options{Tiny: true, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	require.NoError(t, err)
	var text strings.Builder
	require.NoError(t, report.WriteScale(&text))
	t.Log(text.String())
	for _, part := range []string{
		"of 20000 rows ends: buffers, without the way", "told that there are a billion rows", "the last tenth of 20000 rows", "scan, as in each reconcile, 300 migrations queued",
		"while another session holds an old snapshot", "a reconcile, one at a time, 2 replicas beside one", "bench_go: a batch of 1000 rows", "left out: it needs a bbmd to run",
	} {
		require.Contains(t, text.String(), part)
	}
}
