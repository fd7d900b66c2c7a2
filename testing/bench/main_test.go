package bench_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
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
	if len(os.Args) == 2 && os.Args[1] == fakePeer {
		if err := serveFakePeer(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1) //nolint:forbidigo // it stands for main
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// fakeProgram is this program, for which fakePeer stands as a peer.
func fakeProgram(t *testing.T) bench.Options {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	return bench.Options{Peers: program}
}
