package chaos

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// mountWAL gives the write-ahead log a real file system of its own, where that may be mounted.
func (r *run) mountWAL(owner *syscall.Stat_t) {
	r.tb.Helper()
	if !r.mounted {
		return // what stands between server and C library refuses its writes as well
	}
	if err := r.server.Stop(r.tb.Context()); err != nil {
		r.tb.Fatal(err)
	}
	disk, log := r.world.path("wal"), filepath.Join(r.data, "pg_wal")
	steps := []func() error{
		func() error { return os.Mkdir(disk, 0o700) },
		func() error { return r.world.mount(disk, owner) },
		func() error { return os.CopyFS(filepath.Join(disk, "pg_wal"), os.DirFS(log)) },
		func() error { return chownAll(disk, int(owner.Uid), int(owner.Gid)) },
		func() error { return os.RemoveAll(log) },
		func() error { return os.Symlink(filepath.Join(disk, "pg_wal"), log) },
		func() error { return r.server.Restart(r.tb.Context()) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			r.tb.Fatalf("give the write-ahead log a disk of its own: %v", err)
		}
	}
	r.walDisk = disk
}

// chownAll gives a directory and all below it to a user.
func chownAll(dir string, uid, gid int) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // it was read alone
	return fs.WalkDir(root.FS(), ".", func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return root.Chown(path, uid, gid)
	})
}

// fillWAL leaves the write-ahead log no room for another segment, or, with full false, makes room again.
func (r *run) fillWAL(full bool) {
	r.tb.Helper()
	var err error
	switch {
	case r.walDisk != "" && full:
		err = resizeDisk(r.walDisk, 0)
	case r.walDisk != "":
		err = resizeDisk(r.walDisk, roomy)
	case full:
		r.world.fill("/pg_wal/")
	default:
		r.world.free()
	}
	if err != nil {
		r.tb.Fatal(err)
	}
}

// diskFullWAL leaves the write-ahead log no room, at which the server dies, and dies again as often as somebody
// starts it, until there is room. The daemons live, are not ready meanwhile, and go on by themselves.
func (r *run) diskFullWAL(f Fault) injury {
	r.tb.Helper()
	i := injury{dead: r.watch.owners(everybody), crashed: true}
	r.fillWAL(true)
	r.useUpWAL()
	if f.Pick/2%2 == 0 {
		if err := r.server.Restart(r.tb.Context()); err == nil {
			r.useUpWAL() // it came as far as to be used, and did not write yet
		}
	}
	r.tell("the server is down")
	for _, daemon := range r.replicas {
		r.watch.until(daemon.name+" is alive, and not ready", patience, func() (bool, error) {
			daemon.running()
			return daemon.answers("/livez") == http.StatusOK && daemon.answers("/readyz") == http.StatusServiceUnavailable, nil
		})
	}
	r.hold(longerThanTakeover)
	r.alive()
	r.fillWAL(false)
	i.at = time.Now()
	if err := r.server.Restart(r.tb.Context()); err != nil {
		r.tb.Fatal(err)
	}
	r.ready(i.at)
	return i
}

// useUpWAL writes until the server has gone down for want of room.
func (r *run) useUpWAL() {
	r.tb.Helper()
	r.watch.until("the server goes down for want of room", patience, func() (bool, error) {
		_ = r.watch.try([]any{new(string)}, "SELECT pg_create_restore_point('chaos')::text || pg_switch_wal()")
		return r.server.PID() == 0, nil
	})
}

// ready waits until every daemon says that it is, and notes how long that took.
func (r *run) ready(since time.Time) {
	r.tb.Helper()
	for _, daemon := range r.replicas {
		r.watch.until(daemon.name+" is ready again", patience, func() (bool, error) {
			daemon.running()
			return daemon.answers("/readyz") == http.StatusOK, nil
		})
		r.figures.took("a daemon is ready again after the server was down", time.Since(since))
	}
}
