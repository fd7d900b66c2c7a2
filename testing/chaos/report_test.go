package chaos_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/chaos"
)

func TestReport(t *testing.T) {
	t.Parallel()
	var report chaos.Report
	require.Empty(t, report.String())
	report.Add(chaos.NewFigures("calm", 0, nil, 0))
	report.Add(chaos.NewFigures("rough", 3, map[string][]time.Duration{"frost": {time.Second}, "heat": {2 * time.Second, 5 * time.Second}}, 10))
	report.Add(chaos.NewFigures("rough", 1, map[string][]time.Duration{"frost": {3 * time.Second}}, 20))
	const want = `
SCENARIO  RUNS  FAULTS  JOBS  TAKEN OVER  TIME  RECOVERS (p50)  (max)
calm      1     0       0     0           1m0s  -               -
rough     2     4       30    0           2m0s  2s              5s
all       3     4       30    0           3m0s  2s              5s

FAULT  TIMES  RECOVERS (p50)  (max)
frost  2      1s              3s
heat   2      2s              5s
`
	require.Empty(t, cmp.Diff(want, report.String()))
}
