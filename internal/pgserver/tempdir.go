package pgserver

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// memoryDir is a file system in memory, on Linux. A test's server makes
// hundreds of files for every database and syncs none: initdb took 1.1 s on
// the disk of a busy machine, and 0.4 s there.
const memoryDir = "/dev/shm"

// memoryWanted is the room that memoryDir must have left to be used; a
// container often has 64 MiB.
const memoryWanted = 4 << 30

// tempDirs returns where a temporary directory may lie, best first. TMPDIR is
// obeyed, and what shall be durable lies on a disk.
func tempDirs(durable bool) []string {
	dirs := allTempDirs()
	if durable || os.Getenv("TMPDIR") != "" || roomIn(memoryDir) < memoryWanted {
		return dirs[1:]
	}
	return dirs
}

// allTempDirs returns where temporary directories may have been made.
func allTempDirs() []string {
	return slices.Compact([]string{memoryDir, filepath.Clean(os.TempDir()), "/tmp", "/var/tmp"})
}

// roomIn returns the bytes that are free for everyone, 0 where that is
// unknown.
func roomIn(dir string) uint64 {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0
	}
	return uint64(stat.Bavail) * uint64(stat.Bsize) //nolint:gosec,unconvert // neither is negative, and their types differ between systems
}
