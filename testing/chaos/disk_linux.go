package chaos

import (
	"errors"
	"fmt"
	"syscall"
)

// mountDisk puts a file system in memory, with room enough, at dir. It needs the right to mount.
func mountDisk(dir string, uid, gid uint32) error {
	if err := syscall.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700,uid=%d,gid=%d", roomy, uid, gid)); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	return nil
}

// roomy is more than any scenario writes.
const roomy = 2 << 30

// resizeDisk leaves the file system so much room beyond what it holds. What somebody writes meanwhile may be more than that:
// then it is asked to hold less than it does, which it refuses.
func resizeDisk(dir string, more uint64) error {
	const tries = 10
	err := error(syscall.EINVAL)
	for try := 0; try < tries && errors.Is(err, syscall.EINVAL); try++ {
		var stat syscall.Statfs_t
		if err := syscall.Statfs(dir, &stat); err != nil {
			return fmt.Errorf("look at tmpfs: %w", err)
		}
		size := (stat.Blocks-stat.Bfree)*uint64(stat.Bsize) + more //nolint:gosec // a size of blocks is positive
		err = syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", size))
	}
	if err != nil {
		return fmt.Errorf("resize tmpfs: %w", err)
	}
	return nil
}

// unmountDisk takes the file system away, whoever has files open there.
func unmountDisk(dir string) { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }
