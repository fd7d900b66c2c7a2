package chaos

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// deafen has the kernel drop every packet that comes for a connection, before TCP sees it: data,
// acknowledgements, and the answers to probes. It takes no privileges.
func deafen(conn net.Conn) error {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return errors.New("deafen a connection: it is not of TCP")
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return fmt.Errorf("deafen a connection: %w", err)
	}
	nothing := []syscall.SockFilter{{Code: syscall.BPF_RET | syscall.BPF_K, K: 0}}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = syscall.AttachLsf(int(fd), nothing) }) //nolint:staticcheck // its successor is in a module that nothing else needs
	if err := errors.Join(err, failed); err != nil {
		return fmt.Errorf("deafen a connection: %w", err)
	}
	return nil
}
