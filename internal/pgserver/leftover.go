package pgserver

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// clearLeftovers removes the directories of this user's owners that died
// together with their guards, and ends their servers. What cannot be removed
// now is left for the next time: it must not keep this server from starting.
func clearLeftovers(ctx context.Context, runAs account, binaries Binaries) {
	for _, parent := range allTempDirs() {
		paths, err := filepath.Glob(filepath.Join(parent, runPrefix+"*"))
		if err != nil {
			continue
		}
		for _, path := range paths {
			if info, err := os.Lstat(path); err == nil && info.IsDir() && ownedByUs(info) {
				clearLeftover(ctx, runAs, binaries, path, info.ModTime())
			}
		}
	}
}

func ownedByUs(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

func clearLeftover(ctx context.Context, runAs account, binaries Binaries, path string, made time.Time) {
	ownerFile := filepath.Join(path, "owner")
	if _, err := os.Lstat(ownerFile); err != nil {
		// Without the file its owner is just making it, or died while it did.
		if time.Since(made) > time.Hour {
			_ = os.RemoveAll(path)
		}
		return
	}
	owner, err := lockFile(ownerFile)
	if err != nil {
		return // alive
	}
	defer owner.Close() //nolint:errcheck // the lock goes in any case
	base := path
	if content, err := os.ReadFile(ownerFile); err == nil && len(content) > 0 {
		base = string(content)
	}
	if hasListener(filepath.Join(path, "s")) {
		pgCtl, _ := binaries.Path("pg_ctl")
		if err := runAs.command(ctx, pgCtl, "stop", "--mode=immediate", "--wait", "--pgdata", filepath.Join(base, "data")).Run(); err != nil {
			return
		}
	}
	_ = os.RemoveAll(path)
}

// hasListener tells whether a server lives that has its socket in dir. The
// socket, unlike postmaster.pid, cannot name a process that is a stranger's.
func hasListener(dir string) bool {
	sockets, err := filepath.Glob(filepath.Join(dir, ".s.PGSQL.*"))
	if err != nil {
		return false
	}
	return slices.ContainsFunc(sockets, func(socket string) bool {
		if strings.HasSuffix(socket, ".lock") {
			return false
		}
		conn, err := net.Dial("unix", socket) //nolint:noctx // a unix socket connects at once or not at all
		return err == nil && conn.Close() == nil
	})
}
