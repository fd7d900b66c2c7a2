package dial

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"
)

// stirred reports whether anything has happened on an idle connection: its end,
// an error, or data, such as the server's last words. A peek at the socket tells, in
// a microsecond and without a statement.
func stirred(conn net.Conn) bool {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return true
	}
	quiet := false
	// Control, and not Read: pgx may have a reader of its own waiting on the
	// connection, whose lock Read would wait for.
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = errors.Is(err, syscall.EAGAIN)
	})
	return err != nil || !quiet
}
