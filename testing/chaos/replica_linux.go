package chaos

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel kill the process when the test's process ends,
// however it does.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
