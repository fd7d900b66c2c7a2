//go:build !linux

package dial

import (
	"net"
	"syscall"
	"time"
)

// setUserTimeout does nothing: TCP_USER_TIMEOUT is Linux's own. Elsewhere
// keepalive and the ping have to do.
func setUserTimeout(syscall.RawConn, time.Duration) error { return nil }

// stirred has nobody to ask, so that an idle connection is pinged before use.
func stirred(net.Conn) bool { return true }
