package bench

import (
	"os"
	"syscall"
)

// flush writes a file's data to the disk, as the server does with its WAL.
func flush(file *os.File) error { return syscall.Fdatasync(int(file.Fd())) }
