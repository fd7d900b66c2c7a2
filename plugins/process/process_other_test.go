//go:build !linux

package process_test

// undumpable is of Linux.
func undumpable() int { return 0 }
