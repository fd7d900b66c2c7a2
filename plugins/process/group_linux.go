package process

import (
	"fmt"
	"os/exec"
	"syscall"
)

// attributes put a program into a process group of its own, and end it with the
// thread that starts it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// byDescriptor makes cmd execute the file that it inherits as descriptor 3,
// whatever has become of its path.
func byDescriptor(cmd *exec.Cmd) { cmd.Path = "/proc/self/fd/3" }

// Undumpable keeps other processes of the same user from reading this one's
// memory and its environment in /proc, where the way to a database may be. A
// daemon calls it before it starts the first program. Core dumps and debuggers
// do not work from then on.
func Undumpable() error {
	const setDumpable = 4 // PR_SET_DUMPABLE
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setDumpable, 0, 0); errno != 0 {
		return fmt.Errorf("keep other processes from reading this one: %w", errno)
	}
	return nil
}
