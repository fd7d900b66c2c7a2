package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/need"
)

// TestWatchingTheJob runs the script of examples/piefed/watch-job with a kubectl
// that says what a Job's first condition is.
func TestWatchingTheJob(t *testing.T) {
	t.Parallel()
	const kubectl = `#!/bin/sh
echo "kubectl $*" >&2
case "$1 $2" in
"get job/migrate-1") printf %s "$CONDITION" ;;
"logs job/migrate-1") echo "relation nope does not exist" ;;
esac
`
	for condition, succeeds := range map[string]bool{"SuccessCriteriaMet": true, "Complete": true, "FailureTarget": false, "Failed": false} {
		dir := t.TempDir()
		need.Executable(t, filepath.Join(dir, "kubectl"), []byte(kubectl))
		script := exec.CommandContext(t.Context(), "sh", filepath.Join(repository, "examples/piefed/watch-job/wait-for-migrations.sh"))
		script.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "JOB=migrate-1", "TIMEOUT=10m", "CONDITION=" + condition}
		output, err := script.CombinedOutput()
		require.Contains(t, string(output), "kubectl wait --for=create --timeout=10m job/migrate-1", "the Job may come later than the pod")
		if succeeds {
			require.NoError(t, err, "%s: %s", condition, output)
			continue
		}
		require.Error(t, err, condition)
		require.Contains(t, string(output), "relation nope does not exist", condition)
	}
}
