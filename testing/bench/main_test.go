package bench_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/bbmd-dev/bbmd/testing/bench"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == bench.PluginArgument {
		if err := bench.ServePlugin(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1) //nolint:forbidigo // it stands for main
		}
		return
	}
	goleak.VerifyTestMain(m)
}
