//go:build !linux

package initialize

import "syscall"

// ownGroup puts a program into a process group of its own, so that what it starts can be
// ended with it.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
