package main

import (
	"fmt"
	"math"
	"syscall"
)

// statVolume asks the system about the disk that a directory is on. What is
// reserved for root does not count as free.
func statVolume(dir string) (volume, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return volume{}, fmt.Errorf("look up the disk: %w", err)
	}
	block := float64(s.Bsize)
	bytes := func(blocks uint64) int64 { return int64(min(float64(blocks)*block, math.MaxInt64/2)) }
	return volume{free: bytes(s.Bavail), size: bytes(s.Blocks)}, nil
}
