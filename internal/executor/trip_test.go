package executor_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/executor"
)

// The way to a distant server is not the server's work, and a first statement that was slow by
// chance does not make all work look like the way.
func TestWayToTheServerIsNoWork(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	require.Equal(t, []time.Duration{ms, 50 * ms}, executor.ServersPart(ms/2, ms, 50*ms), "near")
	require.Equal(t, []time.Duration{ms, 48 * ms}, executor.ServersPart(3*ms, 3*ms, 50*ms), "far")
	require.Equal(t, []time.Duration{2 * ms / 4, 48 * ms}, executor.ServersPart(30*ms, 2*ms, 50*ms), "slow by chance")
}
