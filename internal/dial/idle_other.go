//go:build !linux

package dial

import "net"

// stirred has nobody to ask, so that an idle connection is pinged before use.
func stirred(net.Conn) bool { return true }
