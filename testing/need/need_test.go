package need_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/need"
)

// recorder is a test that notes how it ended.
type recorder struct {
	testing.TB
	skipped, failed string
}

func (*recorder) Helper() {}

func (r *recorder) Skipf(format string, arguments ...any) {
	r.skipped = fmt.Sprintf(format, arguments...)
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, arguments ...any) {
	r.failed = fmt.Sprintf(format, arguments...)
	runtime.Goexit()
}

// asked asks for a program as a test does.
func asked(t *testing.T, name string) (path string, r *recorder) {
	t.Helper()
	r = &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		path = need.Program(r, name)
	}()
	<-done
	return path, r
}

// only makes a PATH of these programs alone.
func only(t *testing.T, programs map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, script := range programs {
		need.Executable(t, filepath.Join(dir, name), []byte("#!/bin/sh\n"+script))
	}
	t.Setenv("PATH", dir)
	return dir
}

func TestWhatWorksIsGiven(t *testing.T) { //nolint:paralleltest // it sets the environment
	dir := only(t, map[string]string{"psql": "exit 0"})
	for _, ci := range []string{"", "true"} {
		t.Setenv("CI", ci)

		path, r := asked(t, "psql")

		require.Equal(t, filepath.Join(dir, "psql"), path)
		require.Empty(t, r.skipped+r.failed)
	}
}

func TestWhatIsMissingIsSkippedByHandAndFailsInCI(t *testing.T) { //nolint:paralleltest // it sets the environment
	for name, machine := range map[string]struct {
		programs map[string]string
		why      string
	}{
		"nothing": {nil, "alembic is not installed"},
		"broken":  {map[string]string{"alembic": "echo Traceback >&2; echo 'no module psycopg2' >&2; exit 3"}, "alembic: exit status 3: no module psycopg2"},
	} {
		only(t, machine.programs)
		for _, ci := range []string{"", "0", "false"} {
			t.Setenv("CI", ci)

			_, r := asked(t, "alembic")

			require.Contains(t, r.skipped, machine.why, name)
			require.Contains(t, r.skipped, "SKIPPED for want of Alembic", name)
			require.Contains(t, r.skipped, "apt-get install alembic python3-psycopg2", name)
			require.NotContains(t, r.skipped, "\n", name)
			require.Empty(t, r.failed, name)
		}
		t.Setenv("CI", "true")

		_, r := asked(t, "alembic")

		require.Contains(t, r.failed, machine.why, name)
		require.Contains(t, r.failed, "make programs", name)
		require.Empty(t, r.skipped, name)
	}
}

func TestWhatNobodyInstallsIsRefused(t *testing.T) {
	t.Setenv("CI", "")

	_, r := asked(t, "true")

	require.Contains(t, r.failed, "testing/need does not know the program true")
}

// TestEveryToolIsLookedAt finds each of them, or says why not.
func TestEveryToolIsLookedAt(t *testing.T) {
	t.Parallel()
	for _, tool := range need.Tools() {
		require.NotEmpty(t, tool.Packages, tool.Name)
		require.NotEmpty(t, tool.For, tool.Name)
		path, err := need.Find(t.Context(), tool)
		if err != nil {
			require.Empty(t, path)
			require.Contains(t, err.Error(), tool.Name)
			continue
		}
		require.True(t, filepath.IsAbs(path), path)
	}
}
