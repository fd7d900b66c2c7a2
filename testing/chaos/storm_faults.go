package chaos

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// begin makes a fault happen. What ends it is left in ends. Whatever else is wrong, it does not wait for long.
func (r *storm) begin(f Fault) {
	r.tb.Helper()
	v, field := r.victim(f), r.fields[f.Pick/4%uint64(len(r.fields))]
	switch f.Kind {
	case KillDaemon:
		v.kill()
		r.ending(v.start)
	case StopDaemon:
		v.signal(syscall.SIGTERM)
		r.ending(func() { v.stops(); v.start() })
	case Freeze:
		v.signal(syscall.SIGSTOP)
		r.ending(func() { v.signal(syscall.SIGCONT) })
	case KillBackend, TerminateBackend, RestartServer:
		r.strike(f)
	case Cut, Stall, HalfOpen, PacketsLost, Latency, Trickle:
		r.disturb(f, v.proxy)
	case StepForward, StepBack:
		by := time.Duration(1+f.Pick/2%12) * time.Hour
		if f.Kind == StepBack {
			by = -by
		}
		r.clock += by
		r.world.step(r.clock)
	case DiskFullControl:
		r.world.fill(r.data + "/base/")
		r.ending(r.world.free)
	case DiskFullWAL:
		r.world.fill("/pg_wal/")
		r.ending(r.world.free)
		for range 8 { // what was made in advance is used up
			r.attempt("SELECT pg_create_restore_point('chaos'), pg_switch_wal()")
		}
	case LockRow:
		r.lockAny(field, f)
	default:
		r.use(f, field)
	}
}

func (r *storm) ending(end func()) { r.ends = append(r.ends, end) }

// use is what users do.
func (r *storm) use(f Fault, about field) {
	r.tb.Helper()
	switch f.Kind {
	case Pause:
		r.attempt(fmt.Sprintf("SELECT bbm.pause('%s', 'by chaos')", about.migration()))
	case Fail:
		r.attempt(about.about(fmt.Sprintf("UPDATE @t SET odd = true WHERE (@key) = (SELECT @key FROM @t WHERE @n = 0 ORDER BY @key OFFSET %d LIMIT 1)", 20+f.Pick/64%100)))
	case DDL:
		changes := []string{
			"ALTER TABLE @t ADD COLUMN IF NOT EXISTS more int NOT NULL DEFAULT 7",
			"CREATE INDEX IF NOT EXISTS @t_n ON @t (n)",
			"ALTER TABLE @t ALTER n TYPE bigint",
			"ALTER TABLE @t RENAME TO @t_aside",
		}
		r.attempt(about.about(changes[f.Pick/64%uint64(len(changes))]))
	case Enqueue:
		next := r.late[0]
		r.fields, r.late = append(r.fields, next), r.late[1:]
		r.attempt(next.enqueue())
	default:
		r.tb.Fatalf("nobody knows how to begin: %s", f.Kind)
	}
}

// attempt runs statements once, as one transaction, which may fail, and does not wait for long.
func (r *storm) attempt(statements string) {
	r.tb.Helper()
	err := r.watch.with(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SET lock_timeout = '300ms'; SET statement_timeout = '3s'; "+statements+"; RESET lock_timeout; RESET statement_timeout", pgx.QueryExecModeSimpleProtocol)
		return err
	})
	if err != nil {
		r.tell("it was refused: %v", err)
	}
}

// strike takes sessions, or the server, away.
func (r *storm) strike(f Fault) {
	r.tb.Helper()
	if f.Kind == RestartServer {
		if err := r.server.Kill(); err != nil {
			r.tb.Fatal(err)
		}
		if err := r.server.Restart(r.tb.Context()); err != nil {
			r.tell("it does not start for now: %v", strings.SplitN(err.Error(), "\n", 2)[0])
		}
		return
	}
	var pids []int
	if err := r.watch.try([]any{&pids}, "SELECT coalesce(array_agg(pid ORDER BY pid), '{}') FROM pg_stat_activity WHERE application_name LIKE $1", everybody); err != nil || len(pids) == 0 {
		r.tell("there is no session: %v", err)
		return
	}
	pid := pids[f.Pick/4%uint64(len(pids))]
	if f.Kind == TerminateBackend {
		r.attempt(fmt.Sprintf("SELECT pg_terminate_backend(%d)", pid))
		return
	}
	_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
}

// disturb does to a daemon's connections what networks do.
func (r *storm) disturb(f Fault, between *proxy) {
	r.tb.Helper()
	switch f.Kind {
	case Cut:
		between.cut()
	case Stall:
		between.stall()
		r.ending(between.resume)
	case HalfOpen:
		between.abandon()
		r.ending(between.release)
	case PacketsLost:
		if err := between.lose(); err != nil {
			r.tb.Fatal(err)
		}
		r.ending(between.release)
	case Latency, Trickle:
		to := pace{delay: time.Duration(20+f.Pick/2%60) * time.Millisecond}
		if f.Kind == Trickle {
			to = pace{delay: 2 * time.Millisecond, piece: 16 + int(f.Pick/2%64)}
		}
		between.slow(to)
		r.ending(func() { between.slow(pace{}) })
	default:
		r.tb.Fatalf("no network does: %s", f.Kind)
	}
}

// lockAny has the application keep some rows of a table for as long as the gust lasts.
func (r *storm) lockAny(of field, f Fault) {
	r.tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.tb.Context()), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, r.watch.url)
	if err != nil {
		r.tell("the application cannot connect: %v", err)
		return
	}
	r.ending(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.tb.Context()), time.Second)
		defer cancel()
		_ = conn.Close(ctx) // it may be gone
	})
	lock := of.about(fmt.Sprintf("BEGIN; SET LOCAL lock_timeout = '300ms'; SELECT FROM @t WHERE @n = 0 ORDER BY @key OFFSET %d LIMIT 20 FOR UPDATE", f.Pick/64%100))
	if _, err := conn.Exec(ctx, lock, pgx.QueryExecModeSimpleProtocol); err != nil {
		r.tell("the application gets no lock: %v", err)
	}
}
