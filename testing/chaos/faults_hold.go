package chaos

import (
	"fmt"
	"strings"
	"syscall"
	"time"
)

// freeze stops a daemon for longer than it takes others to look after it. Every
// other time its sessions are ended meanwhile, as the server's time-out would in
// the end; then another daemon, if there is one, has to go on without it.
func (r *run) freeze(f Fault) injury {
	v := r.victim(f)
	v.signal(syscall.SIGSTOP)
	i := injury{dead: r.watch.owners(v.application()), at: time.Now()}
	r.hold(longerThanTakeover)
	if f.Pick/2%2 == 0 {
		v.signal(syscall.SIGCONT)
		return injury{at: time.Now()}
	}
	i.at = time.Now()
	r.watch.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE $1", v.application())
	return r.thaw(v, i)
}

// beyondTimeouts is what, on top of the minute after which the server ends a worker's session, is longer than any
// time-out of a daemon or of its sessions.
const beyondTimeouts = 40 * time.Second

// freezeLong stops a daemon until the server itself has ended the sessions of its workers, and for longer than anybody waits.
func (r *run) freezeLong(f Fault) injury {
	r.tb.Helper()
	v, i := r.freezeAtWork(f)
	r.sessionsEnd(v, i)
	i.at = time.Now()
	r.hold(beyondTimeouts)
	return r.thaw(v, i)
}

// freezeAtWork stops a daemon that has jobs to itself, the victim if it is one.
func (r *run) freezeAtWork(f Fault) (v *replica, i injury) {
	r.tb.Helper()
	r.watch.until("a daemon is stopped while it has jobs", patience, func() (bool, error) {
		for n := range r.replicas {
			v = r.replicas[(f.replica(len(r.replicas))+n)%len(r.replicas)]
			v.signal(syscall.SIGSTOP)
			if i.dead = r.watch.owners(v.application()); len(i.dead) > 0 {
				return true, nil
			}
			v.signal(syscall.SIGCONT)
		}
		return false, nil
	})
	return v, i
}

// thaw lets a frozen daemon go on whose sessions have ended, after another one
// has done without it.
func (r *run) thaw(v *replica, i injury) injury {
	r.tb.Helper()
	if len(r.replicas) > 1 {
		r.overcome("loss of a daemon that is frozen", i)
	}
	r.sessionsEnd(v, i)
	asleep := r.lastEvent()
	v.signal(syscall.SIGCONT)
	i.at = time.Now()
	r.watch.until(v.name+" wakes up", patience, func() (bool, error) {
		var awake bool
		err := r.watch.try([]any{&awake}, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE $1 AND state_change > $2)", v.application(), i.at)
		return awake, err
	})
	var undead int
	r.watch.row([]any{&undead}, "SELECT count(*) FROM invariants.job_events WHERE id > $1 AND new_status = 'finished' AND old_owner = ANY (coalesce($2::int[], '{}'))", asleep, i.dead)
	if undead > 0 {
		r.tb.Errorf("I1 (exactly once) violated: a daemon that woke up finished %d jobs that were not its own any more", undead)
	}
	return i
}

// sessionsEnd waits until the server has ended the sessions of a daemon that owned jobs when it was frozen, by its own time-outs. That they own none any
// more is not enough: the server may have done what was on its way, and whoever wakes up in time goes on.
func (r *run) sessionsEnd(v *replica, i injury) {
	r.tb.Helper()
	r.watch.until("the server ends the sessions of "+v.name, 3*patience, func() (ended bool, err error) {
		err = r.watch.try([]any{&ended}, "SELECT NOT EXISTS (SELECT FROM pg_locks l WHERE l.classid = 7701 AND "+mine+" AND l.objid::int = ANY ($1))", i.dead)
		return ended, err
	})
}

// rest pauses the migration, waits until nobody is at it any more, and returns how far it is. Nothing is running then: what the dead have
// left is taken over.
func (r *run) rest() progress {
	r.tb.Helper()
	r.watch.exec("SELECT bbm.pause('m', 'by chaos')")
	r.watch.until("nobody is at what was paused", patience, func() (settled bool, err error) {
		err = r.watch.try([]any{&settled}, "SELECT NOT unsettled FROM bbm.batched_background_migrations WHERE name = 'm'")
		return settled, err
	})
	p := r.watch.progress()
	if p.Status != "paused" || p.Running > 0 {
		r.tb.Errorf("jobs of a migration that was paused are running, and nobody is at it: %+v", p)
	}
	return p
}

// pause pauses the migration, looks that nothing moves, and resumes it. Every
// third time a daemon dies meanwhile.
func (r *run) pause(f Fault) injury {
	r.tb.Helper()
	before := r.rest()
	if f.Pick/2%3 == 0 {
		v := r.victim(f)
		v.kill()
		v.start()
	}
	r.hold(longerThanTakeover)
	if after := r.watch.progress(); after != before {
		r.tb.Errorf("something moved while the migration was paused: %+v, then %+v", before, after)
	}
	at := time.Now()
	r.watch.exec("SELECT bbm.resume('m')")
	return injury{at: at}
}

// mark makes a row odd that is to be processed soon.
func (r *run) mark(f Fault) {
	r.tb.Helper()
	ahead := 2 + int(f.Pick/2%8)
	r.allow(ahead + 100) // others go on while its batch is split again and again
	r.watch.until("a row is odd before it is processed", patience, func() (bool, error) {
		return r.watch.exec(fmt.Sprintf(`UPDATE t SET odd = true WHERE n = 0 AND id = (
			SELECT id FROM t WHERE id > (SELECT max_value::%s FROM bbm.batched_background_migration_jobs WHERE ordinal IS NOT NULL ORDER BY ordinal DESC LIMIT 1)
			ORDER BY id OFFSET $1 LIMIT 1)`, r.Key), ahead*r.BatchSize) == 1, nil
	})
}

// setAside marks a row as odd, and leaves it to the daemons to find it and to go
// on without it, whatever else happens meanwhile.
func (r *run) setAside(f Fault) injury {
	at := time.Now()
	r.mark(f)
	return injury{at: at}
}

// killSingle marks a row as odd, and ends the daemon, or the session, that tries
// a single row alone: the odd one, or its neighbour, which is not to blame.
func (r *run) killSingle(f Fault) injury {
	r.tb.Helper()
	r.watch.exec("UPDATE chaos.pace SET held = true") // until it has been seen, also on a busy machine
	defer r.watch.exec("UPDATE chaos.pace SET held = false")
	r.mark(f)
	var owner int32
	var pid int
	var application string
	r.watch.until("a single row is tried alone", patience, func() (bool, error) {
		err := r.watch.try([]any{&owner, &pid, &application}, `SELECT j.owner, a.pid, a.application_name FROM bbm.batched_background_migration_jobs j
			JOIN pg_locks l ON l.objid::int = j.owner AND l.classid = 7701 AND `+mine+` JOIN pg_stat_activity a ON a.pid = l.pid AND a.state <> 'idle'
			WHERE j.status = 'running' AND j.careful AND j.batch_size = 1 LIMIT 1`)
		return err == nil, err
	})
	i := injury{dead: []int32{owner}, at: time.Now()}
	if f.Pick/2%2 == 0 {
		r.watch.exec("SELECT pg_terminate_backend($1)", pid)
		return i
	}
	for _, v := range r.replicas {
		if strings.HasPrefix(application, "bbmd/"+v.name+"/") {
			i = injury{dead: r.watch.owners(v.application()), at: time.Now()}
			v.kill()
			v.start()
		}
	}
	return i
}

// fail marks a row as odd, waits until the migration fails of it, mends it and retries.
func (r *run) fail(f Fault) injury {
	r.tb.Helper()
	r.mark(f)
	p := r.watch.reaches("failed", func(p progress) bool { return p.Status == "failed" })
	if p.Failed == 0 || p.Reason == "" {
		r.tb.Errorf("I6 (nothing hidden) violated: the migration has failed with %d failed jobs, for the reason %q", p.Failed, p.Reason)
	}
	r.watch.exec("UPDATE t SET odd = false WHERE odd")
	at := time.Now()
	r.watch.exec("SELECT bbm.retry('m')")
	return injury{at: at}
}

// deleteRow deletes the last row of a batch that is not finished, and adds one
// behind the range, as an application may.
func (r *run) deleteRow(Fault) injury {
	at := time.Now()
	r.watch.exec(fmt.Sprintf(`DELETE FROM t WHERE id = (SELECT max_value::%s FROM bbm.batched_background_migration_jobs
		WHERE status <> 'finished' AND ordinal IS NOT NULL ORDER BY ordinal DESC LIMIT 1)`, r.Key))
	behind := "SELECT max(id) + 1 FROM t"
	if r.Key == UUID {
		behind = "SELECT ('ffffffff-ffff-ffff-ffff-' || lpad(count(*)::text, 12, '0'))::uuid FROM t WHERE id >= 'ffffffff-ffff-ffff-ffff-000000000000'"
	}
	r.watch.exec("INSERT INTO t (id) " + behind)
	return injury{at: at}
}

func (r *run) cut(f Fault) injury {
	v := r.victim(f)
	i := injury{dead: r.watch.owners(v.application()), at: time.Now()}
	v.proxy.cut()
	return i
}

// stall keeps back what a daemon and the server send each other, for a while.
func (r *run) stall(f Fault) injury {
	v := r.victim(f)
	v.proxy.stall()
	r.hold(time.Duration(f.Pick/2%5+1) * takeoverInterval)
	v.proxy.resume()
	return injury{at: time.Now()}
}

// halfOpen takes a daemon's connections from it, while the server hears of that later.
func (r *run) halfOpen(f Fault) injury {
	v := r.victim(f)
	i := injury{dead: r.watch.owners(v.application())}
	v.proxy.abandon()
	r.hold(longerThanTakeover)
	i.at = time.Now()
	v.proxy.release()
	return i
}

// halfOpenLong takes a daemon's connections from it, and the server never hears of that.
func (r *run) halfOpenLong(f Fault) injury {
	r.tb.Helper()
	v := r.victim(f)
	i := injury{dead: r.watch.owners(v.application())}
	v.proxy.abandon()
	r.watch.until("the server ends the sessions that nobody has", 3*patience, func() (bool, error) {
		var open bool
		err := r.watch.try([]any{&open}, "SELECT EXISTS (SELECT FROM pg_locks l WHERE l.classid = 7701 AND l.objid::int = ANY ($1) AND "+mine+")", i.dead)
		return !open, err
	})
	i.at = time.Now()
	v.proxy.release()
	return i
}
