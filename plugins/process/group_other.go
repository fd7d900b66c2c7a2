//go:build unix && !linux

package process

import (
	"os/exec"
	"syscall"
)

// attributes put a program into a process group of its own. It ends with bbmd
// by reading the end of its standard input.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// byDescriptor does nothing here: the program is executed by its path.
func byDescriptor(*exec.Cmd) {}

// Undumpable does nothing here: /proc is not what it is on Linux.
func Undumpable() error { return nil }
