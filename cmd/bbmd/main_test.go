package main_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	main "github.com/bbmd-dev/bbmd/cmd/bbmd"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// asProgram in the environment makes the test binary bbmd itself, so that the
// tests run real processes, with the race detector, and nothing has to be built.
const asProgram = "BBMD_TEST_AS_PROGRAM=1"

// notTraffic keeps daemons from giving way to the tests beside, which share their server.
const notTraffic = `BBMD_BACKGROUND_MIGRATIONS__THROTTLE={"traffic": {"mode": "off"}}`

func TestMain(m *testing.M) {
	if name, value, _ := strings.Cut(asProgram, "="); os.Getenv(name) == value {
		_ = os.Unsetenv(name)                                // or bbmd would take it for a key
		os.Exit(main.Run(os.Args[1:], os.Stdout, os.Stderr)) //nolint:forbidigo // it stands for main
	}
	pgtest.Main(m)
}

const patience = time.Minute

// result is what a command left.
type result struct {
	code     int
	out, err string
}

// bbmd runs a command to its end, in an environment of env alone and a
// directory of its own.
func bbmd(t *testing.T, env []string, args ...string) result {
	t.Helper()
	p := spawn(t, env, args...)
	return result{code: p.wait(), out: p.out.String(), err: p.err.String()}
}

// process is a bbmd that runs.
type process struct {
	*exec.Cmd

	t        *testing.T
	out, err *transcript
	ended    chan struct{}
}

// spawn starts a command, which ends with the test at the latest.
func spawn(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p := &process{t: t, out: &transcript{}, err: &transcript{}, ended: make(chan struct{})}
	p.Cmd = exec.CommandContext(context.WithoutCancel(t.Context()), self, args...)
	p.Env = append([]string{asProgram, "HOME=" + t.TempDir(), notTraffic}, env...)
	p.Dir = t.TempDir()
	p.Stdout = p.out
	p.Stderr = io.MultiWriter(p.err, t.Output())
	require.NoError(t, p.Start())
	go func() {
		defer close(p.ended)
		_ = p.Wait() // its result is in ProcessState
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill() // it has ended, if that fails
		<-p.ended
	})
	return p
}

// wait waits for the end and returns the exit code, -1 after a signal.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.ProcessState.ExitCode()
	case <-time.After(patience):
		require.FailNow(p.t, "the process does not end", p.err.String())
		return -1
	}
}

func (p *process) signal(signal syscall.Signal) {
	p.t.Helper()
	if err := p.Process.Signal(signal); !errors.Is(err, os.ErrProcessDone) {
		require.NoError(p.t, err)
	}
}

// waitLog waits until the process has logged a line that matches, and returns the
// last of its groups.
func (p *process) waitLog(pattern string) string {
	p.t.Helper()
	var found []string
	require.Eventually(p.t, func() bool {
		found = regexp.MustCompile(pattern).FindStringSubmatch(p.err.String())
		return found != nil
	}, patience, 5*time.Millisecond, "the process never says %s", pattern)
	return found[len(found)-1]
}

// transcript is what a process wrote.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *transcript) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *transcript) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// databaseURL is an environment that configures one database.
func databaseURL(db *pgtest.Database) []string { return []string{"DATABASE_URL=" + db.URL} }
