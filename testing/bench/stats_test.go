package bench_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/bench"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 3, bench.Quantile([]float64{5, 1, 3}, 0.5), 1e-9)
	require.InDelta(t, 2, bench.Quantile([]float64{1, 3}, 0.5), 1e-9)
	require.InDelta(t, 5, bench.Quantile([]float64{5, 1, 3}, 1), 1e-9)
	require.True(t, math.IsNaN(bench.Quantile(nil, 0.5)))
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ratio, target, control, own float64
		want                        bench.Verdict
	}{
		{1.01, 1, 1, 0, bench.Reached},
		{0.99, 1, 1, 0, bench.Missed},
		{0.99, 1, 0.98, 0, bench.Unclear},
		{0.99, 1, 1, 0.02, bench.Unclear},
		{2, 1, 1.06, 0, bench.Void},
		{math.NaN(), 1, 1, 0, bench.Void},
		{0.1, 0, 1, 0, bench.Shown},
	} {
		require.Equal(t, c.want, bench.JudgeAtLeast(c.ratio, c.target, c.control, c.own), c)
	}
	for _, c := range []struct {
		value, target, noise float64
		want                 bench.Verdict
	}{
		{1.2, 1.2, 0, bench.Reached},
		{1.25, 1.2, 0.1, bench.Unclear},
		{1.35, 1.2, 0.1, bench.Missed},
		{math.NaN(), 1.2, 0.1, bench.Void},
	} {
		require.Equal(t, c.want, bench.JudgeAtMost(c.value, c.target, c.noise), c)
	}
}

func TestReportOfRounds(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	r := bench.NewResult(1, [3]time.Duration{10 * ms, 10 * ms, 8 * ms}, [3]time.Duration{20 * ms, 20 * ms, 16 * ms}, [3]time.Duration{10 * ms, 10 * ms, 20 * ms})
	var text strings.Builder
	require.NoError(t, r.Write(&text))
	require.Contains(t, text.String(), "3 rounds, slices of 0 rows, A/A 1.000")
	require.Contains(t, text.String(), "| Work | **1.25** | 0.88 to 1.25 | 0.91 | 2.50 | 0.91 | 10 | 1.00 | 1k | ≥ 1.00 | reached |")
	require.Equal(t, map[bench.Verdict]int{bench.Shown: 2, bench.Reached: 1}, r.Verdicts())
}
