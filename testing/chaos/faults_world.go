package chaos

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// inWorld puts the table of a scenario onto a disk of its own, and makes its batches take
// their time without a look at the clock, which such a scenario sets.
func (r *run) inWorld() {
	r.tb.Helper()
	r.disk = r.world.path("disk")
	if err := os.Mkdir(r.disk, 0o700); err != nil {
		r.tb.Fatal(err)
	}
	admin := r.db.Superuser(r.tb)
	data := pgtest.One[string](r.tb, admin, "SHOW data_directory")
	info, err := os.Stat(data)
	if err != nil {
		r.tb.Fatal(err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		r.tb.Fatalf("nobody knows whose %s is", data)
	}
	if err := os.Chown(r.disk, int(owner.Uid), int(owner.Gid)); err != nil {
		r.tb.Fatal(err)
	}
	r.data = data
	if r.Mounted {
		r.mount(owner)
		r.mountWAL(owner)
	}
	admin.Exec(r.tb, fmt.Sprintf("CREATE TABLESPACE small LOCATION '%s'", r.disk))
	// A row that is written anew is wide, and finds no room but at the end of the file.
	admin.Exec(r.tb, `ALTER TABLE t SET TABLESPACE small;
		ALTER TABLE t SET (autovacuum_enabled = false);
		ALTER TABLE t ADD pad text NOT NULL DEFAULT repeat('x', 1500);
		ALTER TABLE t ALTER pad SET STORAGE PLAIN;
		UPDATE chaos.pace SET seconds = 0`)
}

// mount puts a real file system below the table, where that is permitted. Elsewhere the world refuses its writes.
func (r *run) mount(owner *syscall.Stat_t) {
	r.tb.Helper()
	if err := r.world.mount(r.disk, owner); err != nil {
		r.tb.Logf("the disk of the table is not a file system of its own here (%v): its writes are refused by what stands between server and C library", err)
		return
	}
	r.mounted = true
}

// fillDisk leaves no room for the table, or, with full false, makes room again.
func (r *run) fillDisk(full bool) {
	r.tb.Helper()
	var err error
	switch {
	case r.mounted && full:
		err = resizeDisk(r.disk, 0)
	case r.mounted:
		err = resizeDisk(r.disk, roomy)
	case full:
		r.world.fill(r.disk)
	default:
		r.world.free()
	}
	if err != nil {
		r.tb.Fatal(err)
	}
}

// lastEvent is the number of the last change of a job. It tells before from after where the clock does not.
func (r *run) lastEvent() int64 {
	r.tb.Helper()
	var id int64
	r.watch.row([]any{&id}, "SELECT coalesce(max(id), 0) FROM invariants.job_events")
	return id
}

// goneOn returns what is true from here on.
func (r *run) goneOn() injury {
	r.tb.Helper()
	return injury{since: r.lastEvent(), at: time.Now()}
}

// stepForward sets the server's clock ahead by some hours, and leaves it there.
func (r *run) stepForward(f Fault) injury { return r.stepped(time.Duration(1+f.Pick/2%12) * time.Hour) }

// stepBack sets it back by some hours.
func (r *run) stepBack(f Fault) injury { return r.stepped(-time.Duration(1+f.Pick/2%12) * time.Hour) }

func (r *run) stepped(by time.Duration) injury {
	r.tb.Helper()
	r.clock += by
	r.world.step(r.clock)
	r.tell("the server's clock is %s off", r.clock)
	i := r.goneOn()
	r.watch.until("there is a speed again, unless the migration became running in what is the future now", patience, func() (bool, error) {
		var ahead bool
		var speed, left *float64
		err := r.watch.try([]any{&ahead, &speed, &left}, `SELECT status_since > clock_timestamp(), keys_per_second::float8, extract(epoch FROM time_left)::float8
			FROM bbm.progress WHERE name = 'm'`)
		if err == nil && (speed != nil && *speed < 0 || left != nil && *left < 0) {
			r.tb.Fatalf("the migration goes backwards: %v keys a second, %v s left", speed, left)
		}
		return err == nil && (ahead || speed != nil), err
	})
	r.figures.took("the speed is known after a step of the clock", time.Since(i.at))
	return i
}

// setBack sets the server's clock back by some hours.
func (r *run) setBack(f Fault) injury {
	r.tb.Helper()
	r.clock -= time.Duration(1+f.Pick/2%12) * time.Hour
	r.world.step(r.clock)
	return r.goneOn()
}

// stepBackPaused sets the clock back while the migration is paused: what was given back is due all the same.
func (r *run) stepBackPaused(f Fault) injury {
	r.tb.Helper()
	r.rest()
	i := r.setBack(f)
	r.watch.exec("SELECT bbm.resume('m')")
	r.allDue()
	return i
}

// stepBackRetry sets the clock back while a batch that failed waits to be tried again.
func (r *run) stepBackRetry(f Fault) injury {
	r.tb.Helper()
	r.mark(f)
	r.watch.until("a batch that failed waits", patience, func() (bool, error) {
		var waits bool
		err := r.watch.try([]any{&waits}, "SELECT EXISTS (SELECT FROM bbm.batched_background_migration_jobs WHERE status = 'pending' AND error_sqlstate = '23514')")
		return waits, err
	})
	i := r.setBack(f)
	r.watch.exec("UPDATE t SET odd = false WHERE odd")
	r.allDue()
	return i
}

// allDue waits until nothing waits any more of what waits now.
func (r *run) allDue() {
	r.tb.Helper()
	began := time.Now()
	var waiting []int64
	r.watch.row([]any{&waiting}, "SELECT coalesce(array_agg(id), '{}') FROM bbm.batched_background_migration_jobs WHERE status = 'pending'")
	r.watch.until("what waited has been done", patience, func() (bool, error) {
		var left int
		err := r.watch.try([]any{&left}, "SELECT count(*) FROM bbm.batched_background_migration_jobs WHERE id = ANY ($1) AND status <> 'finished'", waiting)
		return err == nil && left == 0, err
	})
	r.figures.took("what waited is done after a step of the clock", time.Since(began))
}

// noSpace is what everybody says whose disk is full.
const noSpace = "No space left on device"

// diskFull leaves the table no room to grow, for a while: the migration waits for it, says so, and goes on by itself.
func (r *run) diskFull(Fault) injury {
	r.tb.Helper()
	before := r.watch.progress()
	r.fillDisk(true)
	p := r.watch.reaches("the row says that the disk is full", func(p progress) bool {
		if p.Status != "running" {
			r.tb.Fatalf("a full disk made the migration %s: %s", p.Status, p.Reason)
		}
		return strings.Contains(p.Reason, noSpace)
	})
	r.hold(longerThanTakeover)
	if after := r.watch.progress(); after.Failed > before.Failed || after.Pending > p.Pending+100 {
		r.tb.Errorf("a full disk was taken for a fault of the rows: %+v, then %+v", before, after)
	}
	r.unharmed()
	i := r.goneOn()
	r.fillDisk(false)
	return i
}

// unharmed checks that no range was split and no row set aside for want of room.
func (r *run) unharmed() {
	r.tb.Helper()
	var blamed int
	r.watch.row([]any{&blamed}, `SELECT (SELECT count(*) FROM bbm.quarantine WHERE error_sqlstate LIKE '53%') +
		(SELECT count(*) FROM bbm.batched_background_migration_jobs WHERE error_sqlstate LIKE '53%' AND (ordinal IS NULL OR status = 'failed'))`)
	if blamed > 0 {
		r.tb.Errorf("%d jobs or rows were blamed for a disk that was full", blamed)
	}
}

// diskFullControl leaves the control schema no room to grow, for a while: nobody can write what is wrong,
// so the log says it.
func (r *run) diskFullControl(Fault) injury {
	r.tb.Helper()
	said := r.daemonsSay(noSpace)
	r.world.fill(r.data + "/base/")
	r.watch.until("a daemon says that the disk is full", patience, func() (bool, error) {
		return r.world.refused() && r.daemonsSay(noSpace) > said, nil
	})
	r.hold(longerThanTakeover)
	r.unharmed()
	i := r.goneOn()
	r.world.free()
	return i
}

// daemonsSay returns how often a text is in the daemons' logs.
func (r *run) daemonsSay(text string) int {
	r.tb.Helper()
	n := 0
	for _, daemon := range r.replicas {
		n += strings.Count(strings.Join(daemon.logLines(), "\n"), text)
	}
	return n
}
