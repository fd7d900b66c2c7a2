//go:build unix

package process

import (
	"errors"
	"os"
	"syscall"
)

// terminate asks a process group to end.
func terminate(pid int) { _ = syscall.Kill(-pid, syscall.SIGTERM) } // it may have ended already

// killGroup ends a process group, whoever is left of it.
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) } // as above

// executable reports whether somebody may execute the file.
func executable(info os.FileInfo) bool {
	return info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// isPipe reports whether err is that nobody reads any more.
func isPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }
