package initialize

import "syscall"

// ownGroup puts a program into a process group of its own, so that what it starts can be
// ended with it, and has the kernel kill it when this process is killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
