package chaos_test

import (
	"testing"

	"github.com/bbmd-dev/bbmd/testing/chaos"
)

// TestFailover promotes a standby while daemons work.
func TestFailover(t *testing.T) {
	t.Parallel()
	programs := chaos.Programs{BBMD: self(t), Go: self(t)} // it has the Works that ship with bbmd, too
	for _, f := range chaos.Failovers(form()) {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			t.Logf("again: go test -race ./testing/chaos %s-run '^%s$' -seed %d", longFlag(), t.Name(), *seed)
			reported(t, chaos.RunFailover(t, f, *seed, programs))
		})
	}
}
