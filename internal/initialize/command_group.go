package initialize

import (
	"errors"
	"os"
	"syscall"
)

// endGroup tells a process group to end.
func endGroup(leader int) error {
	if err := syscall.Kill(-leader, syscall.SIGTERM); err != nil {
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
	return nil
}

// killGroup ends what is left of a process group, if anything is.
func killGroup(leader int) { _ = syscall.Kill(-leader, syscall.SIGKILL) }
