//go:build unix

package plugins

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkWriters refuses what somebody else than root and the user that runs bbmd
// can write.
func checkWriters(path string, file *os.File, info fs.FileInfo) error {
	if readOnly(file) {
		return nil // as ConfigMaps are mounted, whose modes say otherwise
	}
	if perm := info.Mode().Perm(); perm&0o022 != 0 {
		return fmt.Errorf("others can write %s (mode %#o): chmod go-w it", path, perm)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid == 0 || int64(stat.Uid) == int64(os.Geteuid()) {
		return nil
	}
	return fmt.Errorf("%s belongs to the user %d, who can write it: chown it to root, or to the user that runs bbmd", path, stat.Uid)
}
