package chaos_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/chaos"
)

func TestScenariosAreReplayable(t *testing.T) {
	t.Parallel()
	for _, form := range []chaos.Form{chaos.Short, chaos.Long} {
		for _, cell := range chaos.Cells(form) {
			require.Equal(t, chaos.Generate(cell, form, 7), chaos.Generate(cell, form, 7))
			require.NotEqual(t, chaos.Generate(cell, form, 7).Faults, chaos.Generate(cell, form, 8).Faults)
		}
	}
}

func TestScenariosReachTheCounts(t *testing.T) {
	t.Parallel()
	restarts := func(k chaos.FaultKind) bool { return k == chaos.RestartServer }
	for seed := range uint64(20) {
		var kills, restarted int
		for _, cell := range chaos.Cells(chaos.Short) {
			scenario := chaos.Generate(cell, chaos.Short, seed)
			kills += scenario.Count(chaos.FaultKind.IsKill)
			restarted += scenario.Count(restarts)
		}
		require.GreaterOrEqual(t, kills, 50, "the short form, together")
		require.GreaterOrEqual(t, restarted, 5)
		for _, cell := range chaos.Cells(chaos.Long) {
			if cell.World {
				continue // there it is not about kills
			}
			scenario := chaos.Generate(cell, chaos.Long, seed)
			require.GreaterOrEqual(t, scenario.Count(chaos.FaultKind.IsKill), 50, "the long form, each: %s", scenario)
			require.GreaterOrEqual(t, scenario.Count(restarts), 5)
		}
	}
}

func TestCellsMeet(t *testing.T) {
	t.Parallel()
	type pair [2]any
	for form, combinations := range map[chaos.Form]int{chaos.Short: 8, chaos.Long: 16} {
		all := map[chaos.Cell]bool{}
		pairs := map[pair]bool{}
		network := false
		for _, c := range chaos.Cells(form) {
			if c.Network || c.World {
				network = network || c.Network
				continue
			}
			all[c] = true
			for _, p := range []pair{
				{c.Key, c.Workers},
				{c.Key, c.Replicas},
				{c.Workers, float64(c.Replicas)},
				{c.Work, c.Key},
				{c.Work, c.Workers},
				{c.Work, float64(c.Replicas)},
			} {
				pairs[p] = true
			}
		}
		require.Len(t, all, combinations)
		require.Len(t, pairs, 22, "each of two values meets each of the others': %v", pairs)
		require.True(t, network)
	}
}

func TestShortFormHasEveryFaultThatIsShort(t *testing.T) {
	t.Parallel()
	count := func(form chaos.Form) map[chaos.FaultKind]int {
		kinds := map[chaos.FaultKind]int{}
		for _, cell := range chaos.Cells(form) {
			for _, f := range chaos.Generate(cell, form, 1).Faults {
				kinds[f.Kind]++
			}
		}
		return kinds
	}
	short, long := count(chaos.Short), count(chaos.Long)
	require.Len(t, long, 28)
	delete(long, chaos.FreezeLong)
	delete(long, chaos.HalfOpenLong)
	delete(long, chaos.KillSingle) // it waits until a row is tried alone, however far that is
	for kind := range long {
		require.NotZero(t, short[kind], kind)
	}
}
