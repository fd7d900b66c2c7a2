package process_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/plugins/process"
	"github.com/bbmd-dev/bbmd/testing/need"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// undumpable returns 0 if nobody may read this process any more.
func undumpable() int {
	const get = 3 // PR_GET_DUMPABLE
	before, _, _ := syscall.RawSyscall(syscall.SYS_PRCTL, get, 0, 0)
	if err := process.Undumpable(); err != nil {
		return served(err)
	}
	after, _, _ := syscall.RawSyscall(syscall.SYS_PRCTL, get, 0, 0)
	if before != 1 || after != 0 {
		return served(fmt.Errorf("dumpable was %d and is %d", before, after))
	}
	return 0
}

// TestProgramsEndWithTheDaemon kills a daemon, which cannot end its programs then.
func TestProgramsEndWithTheDaemon(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	note := filepath.Join(t.TempDir(), "pid")
	h.write("child", own(t, "child", "notes", []string{note}, manifest{"name": "bump"}))
	self, err := os.Executable()
	require.NoError(t, err)
	daemon := exec.Command(self, childFlag+"parent", h.dir)
	daemon.Stderr = t.Output()
	require.NoError(t, daemon.Start())
	pid := waitForNumber(t, note)
	require.NoError(t, daemon.Process.Kill())
	require.Error(t, daemon.Wait())
	waitForEnd(t, pid)
}

func TestUndumpable(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	output, err := exec.Command(self, childFlag+"undumpable").CombinedOutput()
	require.NoError(t, err, string(output))
}

// TestOwnProgramIsExecutedByDescriptor runs a script that finds its neighbours although
// it was not executed by its path.
func TestOwnProgramIsExecutedByDescriptor(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	h := newHouse(t, nil)
	h.write("script", manifest{
		"protocol": 1, "name": "script", "version": "1", "command": []string{"./run", "an argument"},
		"works": []manifest{{"name": "bump"}},
	})
	script := `#!/bin/sh
read -r init
. ./answers
hello
read -r batch
fail "$0 $*"
`
	answers := `hello() { echo '{"type":"hello","protocol":1,"name":"script","version":"1","works":["bump"]}'; }
fail() { echo '{"type":"fail","id":1,"message":"'"$1"'"}'; }
`
	need.Executable(t, filepath.Join(h.dir, "script", "run"), []byte(script))
	require.NoError(t, os.WriteFile(filepath.Join(h.dir, "script", "answers"), []byte(answers), 0o644))
	err := run(t.Context(), t, db.Conn(t), workOf(t, h.open()["script"], "bump"), whole())
	require.ErrorContains(t, err, "/proc/self/fd/3 an argument")
}
