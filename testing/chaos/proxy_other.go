//go:build !linux

package chaos

import (
	"errors"
	"net"
)

// deafen does on Linux what a pulled cable does.
func deafen(net.Conn) error {
	return errors.New("packets of a connection can be dropped on Linux only")
}
