package pgstandby

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// deadline bounds everything that this package does itself.
const deadline = 2 * time.Minute

// Standby is a server that replays what its primary writes. Stop, Kill and
// Restart are those of [pgserver.Server].
type Standby struct {
	*pgserver.Server
}

// New starts a standby, which the primary knows by its name (application_name
// in pg_stat_replication), with further settings, such as
// recovery_min_apply_delay. It returns when the standby accepts connections;
// it ends with the test.
func New(tb testing.TB, primary *pgtest.Server, name string, settings map[string]string) *Standby {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), deadline)
	defer cancel()
	dir, err := os.MkdirTemp("/tmp", "bbmd-standby-") //nolint:usetesting // the server's user has to get in, unlike into the test's own
	if err != nil {
		tb.Fatalf("make the standby's directory: %v", err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Errorf("remove the standby's directory: %v", err)
		}
	})
	if err := copyPrimary(ctx, primary, dir); err != nil {
		tb.Fatalf("copy the primary: %v", err)
	}
	all := map[string]string{"cluster_name": name, "hot_standby": "on", "wal_receiver_status_interval": "1s"}
	maps.Copy(all, settings)
	server, err := pgserver.Start(ctx, pgserver.Options{Binaries: primary.Binaries(), Dir: dir, Settings: all})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("the log of the standby ends:\n%s", server.LogTail(30))
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), deadline)
		defer cancel()
		if err := server.Close(ctx); err != nil {
			tb.Error(err)
		}
	})
	return &Standby{server}
}

// Pause stops replay, and returns when it has stopped. WAL is received all the same.
func (s *Standby) Pause(tb testing.TB) {
	tb.Helper()
	db := s.Database("postgres")
	db.Exec(tb, "SELECT pg_wal_replay_pause()")
	const since = 14 // before, the server does not tell that it has heard
	if s.Binaries().Major >= since {
		db.WaitFor(tb, "SELECT pg_get_wal_replay_pause_state() = 'paused'")
	}
}

// Resume lets replay go on.
func (s *Standby) Resume(tb testing.TB) {
	tb.Helper()
	s.Database("postgres").Exec(tb, "SELECT pg_wal_replay_resume()")
}

// Database is one of the primary's databases on the standby, to read from, as the superuser.
func (s *Standby) Database(name string) *pgtest.Database {
	return &pgtest.Database{Name: name, URL: s.URL(name)}
}

// handOver gives paths to whom the primary's data belongs.
func handOver(like string, paths ...string) error {
	info, err := os.Stat(like)
	if err != nil {
		return fmt.Errorf("look at the primary's data: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) == os.Geteuid() {
		return nil
	}
	for _, path := range paths {
		err := filepath.WalkDir(path, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, int(owner.Uid), int(owner.Gid)) //nolint:gosec // nobody else writes to a copy that no server runs on yet
		})
		if err != nil {
			return fmt.Errorf("hand over to the server's user: %w", err)
		}
	}
	return nil
}
