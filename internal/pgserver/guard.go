package pgserver

import (
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"syscall"
)

// guardScript reads what it guards, one signal and process id at a time, until
// its owner closes the pipe or dies. Then it ends the last process named and
// removes the owner's directory.
const guardScript = `
signal= pid=
while read -r first second; do signal=$first pid=$second; done
if [ -n "$pid" ] && kill "-$signal" "$pid" 2>/dev/null; then
	tries=0
	while kill -0 "$pid" 2>/dev/null && [ $tries -lt 200 ]; do sleep 0.1; tries=$((tries + 1)); done
	kill -KILL "$pid" 2>/dev/null
fi
rm -rf -- "$1"
`

// guard is a shell in a session of its own that outlives the owner. The
// kernel closes the pipe with the owner, whatever ended that; PR_SET_PDEATHSIG
// would do so with the thread that happened to start the server, and on Linux
// alone.
type guard struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

func startGuard(dir string) (*guard, error) {
	cmd := exec.Command("/bin/sh", "-c", guardScript, "sh", dir) //nolint:noctx,gosec // it outlives every context and the process; the script is ours
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start guard: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start guard: %w", err)
	}
	return &guard{cmd: cmd, pipe: pipe}, nil
}

// watch names the process to end with the owner, and by which signal.
func (g *guard) watch(signal string, pid int) error {
	return g.tell(signal + " " + strconv.Itoa(pid))
}

// forget says that the process has ended.
func (g *guard) forget() error { return g.tell("") }

func (g *guard) tell(line string) error {
	if _, err := io.WriteString(g.pipe, line+"\n"); err != nil {
		return fmt.Errorf("tell the guard: %w", err)
	}
	return nil
}

// stop lets the guard do its work now.
func (g *guard) stop() error {
	if err := g.pipe.Close(); err != nil {
		return fmt.Errorf("stop guard: %w", err)
	}
	if err := g.cmd.Wait(); err != nil {
		return fmt.Errorf("stop guard: %w", err)
	}
	return nil
}
