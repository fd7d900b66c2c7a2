package initialize_test

import (
	"bufio"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// TestCommandDiesWithBbmd: a process that is killed cannot end what it started.
func TestCommandDiesWithBbmd(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), fakeVariable+"=parent", "DATABASE_URL="+db.URL)
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	child := 0
	for lines := bufio.NewScanner(out); child == 0 && lines.Scan(); {
		if m := regexp.MustCompile(`^asleep (\d+)`).FindStringSubmatch(lines.Text()); m != nil {
			child, err = strconv.Atoi(m[1])
			require.NoError(t, err)
		}
	}
	require.NotZero(t, child)
	require.False(t, gone(child))
	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait()
	require.Eventually(t, func() bool { return gone(child) }, patience, 10*time.Millisecond)
}
