package chaos

import (
	"strings"
	"time"
)

// latency delays what a daemon and the server send each other, and work has to go on all the same.
func (r *run) latency(f Fault) injury {
	return r.slowed(f, pace{delay: time.Duration(20+f.Pick/2%60) * time.Millisecond})
}

// trickle forwards a few bytes at a time, and work has to go on all the same.
func (r *run) trickle(f Fault) injury {
	return r.slowed(f, pace{delay: 2 * time.Millisecond, piece: 16 + int(f.Pick/2%64)})
}

func (r *run) slowed(f Fault, to pace) injury {
	r.tb.Helper()
	v := r.victim(f)
	at := time.Now()
	v.proxy.slow(to)
	r.hold(longerThanTakeover)
	r.overcome(string(f.Kind)+", which goes on", injury{at: at})
	v.proxy.slow(pace{})
	return injury{at: time.Now()}
}

// packetsLost drops every packet of a daemon's connections until the kernel of each side finds out by
// itself, by keepalive or by data that stays without an answer, and the daemon has come back on new ones.
func (r *run) packetsLost(f Fault) injury {
	r.tb.Helper()
	v := r.victim(f)
	before := r.sessionsOf(v)
	i := injury{dead: r.watch.owners(v.application())}
	ended := r.serverSays(timedOut)
	lost := time.Now()
	if err := v.proxy.lose(); err != nil {
		r.tb.Fatal(err)
	}
	r.watch.until("the server's kernel ends the sessions that nobody answers", 3*patience, func() (bool, error) {
		var owned bool
		err := r.watch.try([]any{&owned}, "SELECT EXISTS (SELECT FROM pg_locks l WHERE l.classid = 7701 AND l.objid::int = ANY ($1) AND "+mine+")", i.dead)
		return !owned && r.serverSays(timedOut) > ended, err
	})
	r.figures.took("TCP finds out that packets are lost", time.Since(lost))
	i.at = lost
	r.overcome("loss of packets, of which nobody is told", i)
	r.comesBack(v, before)
	r.figures.overcame("a daemon comes back whose packets were lost", time.Since(lost))
	v.proxy.release()
	return injury{at: time.Now()}
}

// sessionsOf waits until a daemon has sessions, and returns their processes.
func (r *run) sessionsOf(v *replica) (pids []int32) {
	r.tb.Helper()
	r.watch.until(v.name+" has sessions", patience, func() (bool, error) {
		err := r.watch.try([]any{&pids}, "SELECT coalesce(array_agg(pid), '{}') FROM pg_stat_activity WHERE application_name LIKE $1", v.application())
		return err == nil && len(pids) > 0, err
	})
	return pids
}

// comesBack waits until a daemon has other sessions than before.
func (r *run) comesBack(v *replica, before []int32) {
	r.tb.Helper()
	r.watch.until(v.name+" comes back", 3*patience, func() (bool, error) {
		var back bool
		err := r.watch.try([]any{&back}, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE $1 AND pid <> ALL ($2))", v.application(), before)
		return back, err
	})
}

// timedOut is what a server process says when its kernel has given the client up.
const timedOut = "Connection timed out"

// serverSays returns how often the server's log has a text, as far as its end is kept.
func (r *run) serverSays(text string) int { return strings.Count(r.server.LogTail(1<<20), text) }
