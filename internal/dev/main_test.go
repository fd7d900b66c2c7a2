package dev_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/dev"
)

const patience = time.Minute

// holdVariable names a state directory whose lock the test binary shall hold.
const holdVariable = "DEV_TEST_HOLD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdVariable); dir != "" {
		os.Exit(hold(dir)) //nolint:forbidigo // it stands for main
	}
	goleak.VerifyTestMain(m)
}

// hold holds a lock until its input ends.
func hold(dir string) int {
	release, err := dev.Hold(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(os.Stdout, "held")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if release() != nil {
		return 1
	}
	return 0
}

// holder is another process that has the lock.
func holder(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = []string{holdVariable + "=" + dir}
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // also of one that was killed
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "held\n", line)
	return cmd
}

// project is a directory with a configuration, and its environment.
func project(t *testing.T, content string, environ ...string) (*dev.Environment, string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "bbmd.yaml")
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	e, err := dev.New(dev.Options{Sources: config.Sources{File: file, Environ: append([]string{}, environ...)}})
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, ".bbmd", "dev"), e.Dir())
	return e, dir
}
