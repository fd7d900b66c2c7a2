package chaos_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/chaos"
)

// TestStorm has several things go wrong at once.
func TestStorm(t *testing.T) {
	t.Parallel()
	storm := chaos.GenerateStorm(form(), *seed)
	t.Logf("%s\nagain: go test -race ./testing/chaos %s-run '^%s$' -seed %d", storm, longFlag(), t.Name(), *seed)
	reported(t, chaos.RunStorm(t, storm, chaos.Programs{BBMD: self(t), Go: self(t)}))
}

func TestStormsAreReplayable(t *testing.T) {
	t.Parallel()
	for _, form := range []chaos.Form{chaos.Short, chaos.Long} {
		require.Equal(t, chaos.GenerateStorm(form, 7), chaos.GenerateStorm(form, 7))
		require.NotEqual(t, chaos.GenerateStorm(form, 7).Gusts, chaos.GenerateStorm(form, 8).Gusts)
	}
}

func TestStormsHaveEverything(t *testing.T) {
	t.Parallel()
	seen := map[chaos.FaultKind]int{}
	for seed := range uint64(20) {
		for _, gust := range chaos.GenerateStorm(chaos.Long, seed).Gusts {
			require.GreaterOrEqual(t, len(gust.Faults), 3)
			require.LessOrEqual(t, len(gust.Faults), 6)
			kinds := map[chaos.FaultKind]bool{}
			for _, f := range gust.Faults {
				seen[f.Kind]++
				kinds[f.Kind] = true
			}
			require.Len(t, kinds, len(gust.Faults), "one gust has each kind once: %s", gust)
		}
	}
	require.Len(t, seen, 21)
}
