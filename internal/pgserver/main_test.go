package pgserver_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// ownerEnv makes this test program an owner of a server instead, which tells
// what it has and then waits to be killed. Its value is the server's directory
// or the word for none.
const (
	ownerEnv  = "BBMD_PGSERVER_OWNER"
	temporary = "temporary"
)

// owned is what an owner tells.
type owned struct {
	URL, RunPath  string
	Server, Guard int
	Error         string
}

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerEnv); dir != "" {
		own(context.Background(), strings.TrimPrefix(dir, temporary))
		return
	}
	goleak.VerifyTestMain(m)
}

func own(ctx context.Context, dir string) {
	var told owned
	server, err := pgserver.Start(ctx, pgserver.Options{Dir: dir})
	if err == nil {
		told = owned{URL: server.URL("postgres"), RunPath: server.RunPath(), Server: server.PID(), Guard: server.GuardPID()}
	} else {
		told.Error = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(told); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// startOwner runs program, a copy of this one, as an owner, and returns how
// to kill it. Nothing is left of it after the test.
func startOwner(t *testing.T, program, dir string, attr *syscall.SysProcAttr) (told owned, kill func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), ownerEnv+"="+dir)
	cmd.SysProcAttr = attr
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	kill = func() {
		_ = cmd.Process.Kill()
		_ = stdin.Close()
		_ = cmd.Wait()
	}
	t.Cleanup(kill)

	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(line, &told))
	require.Empty(t, told.Error)
	return told, kill
}
