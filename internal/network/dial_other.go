//go:build !linux

package network

import (
	"syscall"
	"time"
)

// setUserTimeout does nothing: TCP_USER_TIMEOUT is Linux's own. Elsewhere
// keepalive and the ping have to do.
func setUserTimeout(syscall.RawConn, time.Duration) error { return nil }
