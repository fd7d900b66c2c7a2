package demo

import "syscall"

// dieWithParent makes a child end when the demo is killed, which cannot end it then.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
