package chaos

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/testing/invariants"
)

// injury is what a fault has done.
type injury struct {
	at      time.Time // since when work can go on
	since   int64     // the last event by then, where the server's clock is not to be trusted
	dead    []int32   // owners that have died of it
	crashed bool      // the server has
}

// inject makes a fault happen, and waits until it is overcome.
func (r *run) inject(f Fault) {
	r.tb.Helper()
	inflict := map[FaultKind]func(Fault) injury{
		KillDaemon:       r.killDaemon,
		KillBackend:      r.killBackend,
		TerminateBackend: r.terminateBackend,
		RestartServer:    r.restart,
		StopDaemon:       r.stopDaemon,
		Freeze:           r.freeze,
		FreezeLong:       r.freezeLong,
		Pause:            r.pause,
		Fail:             r.fail,
		SetAside:         r.setAside,
		KillSingle:       r.killSingle,
		DeleteRow:        r.deleteRow,
		Cut:              r.cut,
		Stall:            r.stall,
		HalfOpen:         r.halfOpen,
		HalfOpenLong:     r.halfOpenLong,
		Latency:          r.latency,
		Trickle:          r.trickle,
		PacketsLost:      r.packetsLost,
		LockRow:          r.lockRow,
		Deadlock:         r.deadlock,
		StepForward:      r.stepForward,
		StepBack:         r.stepBack,
		StepBackPaused:   r.stepBackPaused,
		StepBackRetry:    r.stepBackRetry,
		DiskFull:         r.diskFull,
		DiskFullControl:  r.diskFullControl,
		DiskFullWAL:      r.diskFullWAL,
	}[f.Kind]
	before := r.lastEvent()
	suffered := inflict(f)
	r.figures.injected++
	if r.World && suffered.since == 0 {
		suffered.since = before
	}
	r.overcome(string(f.Kind), suffered)
	if suffered.crashed {
		r.crashes = append(r.crashes, suffered.at)
		r.consistent()
	}
	r.alive()
}

// overcome waits until work goes on, by somebody who lives, and nothing is left to the dead.
func (r *run) overcome(fault string, i injury) {
	r.tb.Helper()
	var progressed *time.Time
	var orphans bool
	var seen time.Time // when somebody was seen to go on
	var free time.Time // when the dead were seen to own nothing
	r.watch.until("work goes on after "+fault, patience, func() (bool, error) {
		err := r.watch.try([]any{&progressed, &orphans}, `SELECT
			(SELECT min(at) FROM invariants.job_events WHERE CASE WHEN $3 THEN id > $4 ELSE at > $1 END
				AND new_status = 'finished' AND old_status = 'running' AND old_owner <> ALL (coalesce($2::int[], '{}'))),
			EXISTS (SELECT FROM bbm.batched_background_migration_jobs WHERE status = 'running' AND owner = ANY ($2))`, i.at, i.dead, r.World, i.since)
		if err == nil && !orphans && free.IsZero() {
			free = time.Now()
		}
		if err == nil && progressed != nil && seen.IsZero() {
			if seen = *progressed; r.World {
				seen = time.Now() // the server's clock is not to be trusted
			}
		}
		return progressed != nil && !orphans, err
	})
	r.figures.overcame(fault, seen.Sub(i.at))
	if len(i.dead) > 0 {
		r.figures.orphaned(free.Sub(i.at))
	}
}

// consistent checks, while work goes on, that rows and bookkeeping were lost or
// kept together.
func (r *run) consistent() {
	r.tb.Helper()
	var found []string
	r.watch.until("rows agree with jobs", patience, func() (bool, error) {
		return true, r.watch.with(func(ctx context.Context, conn *pgx.Conn) (err error) {
			found, err = invariants.Miscounted(ctx, conn, "m", "n")
			return err
		})
	})
	for _, v := range found {
		r.tb.Errorf("after a crash of the server: %s", v)
	}
}

// hold lets things be as they are for a while.
func (r *run) hold(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.tb.Context().Done():
	}
}

// longerThanTakeover is long enough for a daemon to look after others several times.
const longerThanTakeover = 3 * takeoverInterval

// everybody is a pattern of the names of all daemons' sessions.
const everybody = "bbmd/%"

func (r *run) victim(f Fault) *replica { return r.replicas[f.replica(len(r.replicas))] }

func (r *run) killDaemon(f Fault) injury {
	v := r.victim(f)
	i := injury{dead: r.watch.owners(v.application()), at: time.Now()}
	v.kill()
	v.start()
	return i
}

// choose waits for sessions of daemons and chooses one, three times out of
// four a worker's.
func (r *run) choose(f Fault) session {
	r.tb.Helper()
	var chosen session
	r.watch.until("a session of a daemon", patience, func() (bool, error) {
		all := r.watch.sessions()
		workers := 0
		for workers < len(all) && all[workers].Worker {
			workers++
		}
		if f.Pick%4 != 0 {
			all = all[:workers]
		}
		if len(all) > 0 {
			chosen = all[int(f.Pick/4%uint64(len(all)))] //nolint:gosec // a handful
		}
		return len(all) > 0, nil
	})
	return chosen
}

func (r *run) terminateBackend(f Fault) injury {
	s := r.choose(f)
	var i injury
	if s.Owner != nil {
		i.dead = []int32{*s.Owner}
	}
	i.at = time.Now()
	r.watch.exec("SELECT pg_terminate_backend($1)", s.PID)
	return i
}

// killBackend kills a server process, at which the server ends all others and recovers.
func (r *run) killBackend(f Fault) injury {
	r.tb.Helper()
	i := injury{crashed: true}
	for {
		s := r.choose(f)
		i.dead, i.at = r.watch.owners(everybody), time.Now()
		err := syscall.Kill(s.PID, syscall.SIGKILL)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.ESRCH) { // a session may end by itself meanwhile: then it is another's turn
			r.tb.Fatalf("kill server process %d: %v", s.PID, err)
		}
	}
	r.watch.until("the server crashes", patience, func() (bool, error) {
		return r.watch.try([]any{new(int)}, "SELECT 1") != nil, nil
	})
	return i
}

func (r *run) restart(Fault) injury {
	i := injury{dead: r.watch.owners(everybody), at: time.Now(), crashed: true}
	r.restartServer()
	return i
}

func (r *run) restartServer() {
	r.tb.Helper()
	if err := r.server.Kill(); err != nil {
		r.tb.Fatal(err)
	}
	if err := r.server.Restart(r.tb.Context()); err != nil {
		r.tb.Fatal(err)
	}
}

// stopDaemon stops a daemon cleanly: when it has ended, nothing is left to it, and
// nobody had to find out that it is gone.
func (r *run) stopDaemon(f Fault) injury {
	r.tb.Helper()
	v := r.victim(f)
	r.watch.until(v.name+" listens", patience, v.listens)
	i := injury{dead: r.watch.owners(v.application()), at: time.Now()}
	v.stop()
	var kept, taken int
	r.watch.row([]any{&kept, &taken}, `SELECT
		(SELECT count(*) FROM bbm.batched_background_migration_jobs WHERE status = 'running' AND owner = ANY ($1)),
		(SELECT count(*) FROM invariants.job_events WHERE old_owner = ANY ($1) AND lock_mode LIKE '%Exclusive%')`, i.dead)
	if kept > 0 || taken > 0 {
		r.tb.Errorf("I4 violated: a daemon that was stopped cleanly kept %d jobs to itself, and %d had to be taken over", kept, taken)
	}
	v.start()
	return i
}
