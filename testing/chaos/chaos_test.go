package chaos_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/chaos"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

var (
	long = flag.Bool("long", false, "inject many more faults, for about half an hour")
	seed = flag.Uint64("seed", rand.Uint64(), "what the scenarios are generated from")
)

func TestMain(m *testing.M) {
	if os.Getenv(asDaemon) != "" {
		os.Exit(runDaemon()) //nolint:forbidigo // it stands for main
	}
	code := pgtest.Run(m)
	fmt.Fprint(os.Stdout, report.String())
	os.Exit(code) //nolint:forbidigo // it stands for main
}

// report is what all tests have shown.
var report chaos.Report

// reported logs what a run has shown, and adds it to the report.
func reported(t *testing.T, figures *chaos.Figures) {
	t.Helper()
	t.Log(figures)
	report.Add(figures)
}

func form() chaos.Form {
	if *long {
		return chaos.Long
	}
	return chaos.Short
}

func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	programs := chaos.Programs{BBMD: buildBBMD(t), Go: self(t)}
	for _, cell := range chaos.Cells(form()) {
		t.Run(cell.Name(), func(t *testing.T) {
			t.Parallel()
			scenario := chaos.Generate(cell, form(), *seed)
			t.Logf("%s\nagain: go test -race ./testing/chaos %s-run '^%s$' -seed %d", scenario, longFlag(), t.Name(), *seed)
			figures := chaos.Run(t, scenario, programs)
			reported(t, figures)
			require.Equal(t, scenario.Count(chaos.FaultKind.IsKill), figures.Kills())
		})
	}
}

func longFlag() string {
	if *long {
		return "-long "
	}
	return ""
}

// shared is the command that the tests of this process run at the same time: to link it takes seconds.
var shared struct {
	mu    sync.Mutex
	users int
	dir   string
}

// buildBBMD returns the command, and builds it where no other test has. It is there until the test ends.
func buildBBMD(t *testing.T) chaos.Program {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.users == 0 {
		dir, err := os.MkdirTemp("", "chaos-bbmd-") //nolint:usetesting // it outlives this test
		require.NoError(t, err)
		shared.dir = dir
		build(t, filepath.Join(dir, "bbmd"))
	}
	shared.users++
	t.Cleanup(func() {
		shared.mu.Lock()
		defer shared.mu.Unlock()
		if shared.users--; shared.users == 0 {
			require.NoError(t, os.RemoveAll(shared.dir))
		}
	})
	return chaos.Program{Args: []string{filepath.Join(shared.dir, "bbmd"), "run"}}
}

// build builds the command, with the race detector where the tests have it.
func build(t *testing.T, path string) {
	t.Helper()
	args := []string{"build", "-o", path}
	if raced() {
		args = append(args, "-race")
	}
	// go test reuses a result for as long as what the test has looked at is the
	// same, and this is not among what it imports.
	for _, dir := range []string{"../../cmd/bbmd", "../../migrations"} {
		sources, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, sources)
		for _, source := range sources {
			_, err := os.Stat(source)
			require.NoError(t, err)
		}
	}
	output, err := exec.CommandContext(t.Context(), "go", append(args, "../../cmd/bbmd")...).CombinedOutput()
	require.NoError(t, err, string(output))
}

// raced reports whether this test was built with the race detector.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
