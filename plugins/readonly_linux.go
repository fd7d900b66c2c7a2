package plugins

import (
	"os"
	"syscall"
)

// readOnly reports whether nobody can write the file, since its file system is
// mounted so.
func readOnly(file *os.File) bool {
	const mountedReadOnly = 1 // ST_RDONLY
	var stat syscall.Statfs_t
	return syscall.Fstatfs(int(file.Fd()), &stat) == nil && stat.Flags&mountedReadOnly != 0
}
