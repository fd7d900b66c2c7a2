package chaos_test

import (
	"testing"

	"github.com/bbmd-dev/bbmd/testing/chaos"
)

func TestTableChangesInTheMiddle(t *testing.T) {
	t.Parallel()
	t.Logf("again: go test -race ./testing/chaos -run '^%s$' -seed %d", t.Name(), *seed)
	reported(t, chaos.RunUpheavals(t, *seed, chaos.Programs{BBMD: buildBBMD(t)}))
}
