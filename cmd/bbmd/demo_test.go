package main_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// building keeps tests from building the same at the same time, from nothing: the second one finds it done.
var building sync.Mutex

// program is bbmd, built as users have it (`make build`), where everybody can run it: the
// demo runs itself once more, as its daemon.
func program(t *testing.T) string {
	t.Helper()
	dir := openDir(t)
	path := filepath.Join(dir, "bbmd")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	building.Lock()
	defer building.Unlock()
	output, err := build.CombinedOutput()
	require.NoError(t, err, string(output))
	return path
}

// openDir returns a directory that others can enter.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "bbmd-test-") //nolint:usetesting // others cannot enter t.TempDir
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

const nobody = 65534

// demo starts `bbmd demo` as an ordinary user, with a directory for temporary
// files that has to be empty when all is over.
func demo(t *testing.T, program string, args ...string) (p *process, temporary string) {
	t.Helper()
	temporary = openDir(t)
	p = &process{t: t, out: &transcript{}, err: &transcript{}, ended: make(chan struct{})}
	p.Cmd = exec.CommandContext(context.WithoutCancel(t.Context()), program, append([]string{"demo", "--scale", "1"}, args...)...)
	p.Dir = temporary
	p.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + temporary, "TMPDIR=" + temporary, "PGBIN=" + os.Getenv("PGBIN"), "DATABASE_URL=postgres://elsewhere/x"}
	if os.Getuid() == 0 {
		require.NoError(t, os.Chown(temporary, nobody, nobody))
		p.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	p.Stdout, p.Stderr = io.MultiWriter(p.out, t.Output()), io.MultiWriter(p.err, t.Output())
	require.NoError(t, p.Start())
	go func() {
		defer close(p.ended)
		_ = p.Wait() // its result is in ProcessState
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill() // it has ended, if that fails
		<-p.ended
	})
	return p, temporary
}

// requireNothingLeft waits until daemons and server are gone, and all their files.
func requireNothingLeft(t *testing.T, p *process, temporary string) {
	t.Helper()
	daemons := regexp.MustCompile(`process (\d+), listens`).FindAllStringSubmatch(p.out.String(), -1)
	require.NotEmpty(t, daemons)
	require.Eventually(t, func() bool {
		for _, daemon := range daemons {
			pid, err := strconv.Atoi(daemon[1])
			require.NoError(t, err)
			if !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
				return false
			}
		}
		left, err := os.ReadDir(temporary)
		require.NoError(t, err)
		return len(left) == 0
	}, patience, 20*time.Millisecond, "daemons %v, or files in %s, are left", daemons, temporary)
}

func TestDemo(t *testing.T) {
	t.Parallel()
	bbmd := program(t)

	t.Run("tells the whole story", func(t *testing.T) {
		t.Parallel()
		p, temporary := demo(t, bbmd)
		require.Zero(t, p.wait(), p.err.String())
		require.Empty(t, p.err.String())
		for _, want := range []string{
			`PostgreSQL \d+`,
			`pgbench_accounts, made by .*: 100,000 rows`,
			`SELECT bbm\.enqueue\('execute_sql', 'pgbench_accounts',`,
			`\d\d:\d\d:\d\d  add_one  running +\d+\.\d%`,
			`SELECT bbm\.pause\('add_one'\);`,
			`add_one  paused`,
			`rows changed, and 1\.0s later .*: nothing moves`,
			`SELECT bbm\.resume\('add_one'\);`,
			`Process \d+ is gone, at \d+\.\d%`,
			`A new one, process \d+, listens`,
			`add_one  finished    100%`,
			`✓ 0 rows: each of the 100,000 was changed exactly once`,
			`SET batch_size = 1000`,
			`✓ \d\d,\d\d\d jobs, all finished, no gap and no overlap`,
			`demo --keep`,
		} {
			require.Regexp(t, want, p.out.String())
		}
		requireNothingLeft(t, p, temporary)
	})

	t.Run("keeps the server", func(t *testing.T) {
		t.Parallel()
		p, temporary := demo(t, bbmd, "--keep")
		p.waitOut(`curl http://`)
		url := regexp.MustCompile(`export DATABASE_URL='(.*)'`).FindStringSubmatch(p.out.String())
		require.NotNil(t, url)
		status := exec.CommandContext(t.Context(), bbmd, "status", "add_one")
		status.Dir, status.Env = t.TempDir(), []string{"DATABASE_URL=" + url[1]}
		output, err := status.CombinedOutput()
		require.NoError(t, err, string(output))
		require.Contains(t, string(output), "add_one  finished  100%")
		require.Regexp(t, `paused +by postgres through you`, string(output))
		p.signal(syscall.SIGINT)
		require.Zero(t, p.wait())
		requireNothingLeft(t, p, temporary)
	})

	t.Run("clears up after Ctrl-C", func(t *testing.T) {
		t.Parallel()
		p, temporary := demo(t, bbmd)
		p.waitOut(`add_one  running`)
		p.signal(syscall.SIGINT)
		require.Equal(t, 130, p.wait())
		require.Contains(t, p.err.String(), "the demo was interrupted: nothing of it is left")
		requireNothingLeft(t, p, temporary)
	})

	t.Run("leaves nothing when it is killed", func(t *testing.T) {
		t.Parallel()
		p, temporary := demo(t, bbmd)
		p.waitOut(`add_one  running`)
		p.signal(syscall.SIGKILL)
		p.wait()
		requireNothingLeft(t, p, temporary)
	})

	t.Run("refuses a size that is none", func(t *testing.T) {
		t.Parallel()
		p, _ := demo(t, bbmd, "--scale", "0")
		require.Equal(t, 2, p.wait())
		require.Equal(t, "bbmd: --scale 0: it is 1 to 1000, 10 is a good one\n", p.err.String())
	})
}
