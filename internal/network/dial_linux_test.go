package network_test

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/network"
)

func TestDialNoticesDeadPeers(t *testing.T) {
	t.Parallel()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	conn, err := network.Dial(t.Context(), "tcp", server.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })

	tcp, ok := conn.(*net.TCPConn)
	require.True(t, ok)
	raw, err := tcp.SyscallConn()
	require.NoError(t, err)
	for name, option := range map[string]struct{ level, option, want int }{
		"SO_KEEPALIVE":     {syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
		"TCP_KEEPIDLE":     {syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 15},
		"TCP_KEEPINTVL":    {syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 5},
		"TCP_KEEPCNT":      {syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 3},
		"TCP_USER_TIMEOUT": {syscall.IPPROTO_TCP, 0x12, 30_000},
	} {
		var got int
		var failed error
		require.NoError(t, raw.Control(func(fd uintptr) {
			got, failed = syscall.GetsockoptInt(int(fd), option.level, option.option)
		}))
		require.NoError(t, failed, name)
		require.Equal(t, option.want, got, name)
	}
}

func TestDialUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	server, err := net.Listen("unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	conn, err := network.Dial(t.Context(), "unix", path)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}
