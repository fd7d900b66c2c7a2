//go:build !linux

package bench

import "os"

// flush writes a file's data to the disk, as the server does with its WAL.
func flush(file *os.File) error { return file.Sync() }
