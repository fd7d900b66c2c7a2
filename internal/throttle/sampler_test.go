package throttle_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/throttle"
)

func TestReadsOnlyWhileSomethingRuns(t *testing.T) {
	t.Parallel()
	inWorld(t, throttle.Default(), func(w *world) {
		t := w.T
		w.pass(time.Hour)
		require.Empty(t, w.taken())

		a := w.begin(throttle.Scope{Migration: "m"})
		require.Len(t, w.taken(), 1)
		require.Equal(t, throttle.Go, a.Verdict().Action)
		w.pass(10 * time.Second)
		taken := w.taken()
		require.InDelta(t, 100, len(taken), 1)
		slices.Sort(taken[0])
		require.Equal(t, []string{"blocked", "busy", "replica_lag", "traffic"}, taken[0])
		require.Equal(t, map[string]int{"traffic": 100, "busy": 100, "blocked": 100, "replica_lag": 100, "archive_backlog": 10, "autovacuum": 10, "xmin": 2}, counted(taken))

		a.End()
		a.End()
		synctest.Wait()
		w.taken()
		w.pass(time.Hour)
		require.Empty(t, w.taken())
		require.Empty(t, w.sampler.Reports())
	})
}

func counted(statements [][]string) map[string]int {
	counts := map[string]int{}
	for _, signals := range statements {
		for _, signal := range signals {
			counts[signal]++
		}
	}
	return counts
}

func TestASecondMigrationIsMeasuredOfItsOwn(t *testing.T) {
	t.Parallel()
	inWorld(t, throttle.Default(), func(w *world) {
		t := w.T
		w.set(func() { w.answers["autovacuum"] = `[{"table": 7, "pid": 99}]` })
		first := w.begin(throttle.Scope{Migration: "first", Table: 5})
		w.taken()
		second := w.begin(throttle.Scope{Migration: "second", Table: 7})
		require.Len(t, w.taken()[0], len(throttle.SignalNames())-1, "all that are on")

		require.Equal(t, throttle.Go, first.Verdict().Action)
		require.Equal(t, throttle.Stop, second.Verdict().Action)
		require.Equal(t, "autovacuum", second.Verdict().Signal)
		require.Len(t, w.sampler.Reports(), 2)
		require.Equal(t, []string{"first go ", "second stop autovacuum"}, w.changes)
	})
}

func TestWorstSignalWins(t *testing.T) {
	t.Parallel()
	c := throttle.Default()
	c.Duty = 0.5
	inWorld(t, c, func(w *world) {
		t := w.T
		a := w.begin(throttle.Scope{Migration: "m", Table: 7})
		require.Equal(t, "duty", a.Verdict().Signal)
		w.answer("busy", `{"active": 3}`)
		require.Equal(t, "busy", a.Verdict().Signal)
		require.Equal(t, throttle.Slow, a.Verdict().Action)
		began := time.Now()
		w.answer("autovacuum", `[{"table": 7, "pid": 99}]`)
		v := a.Verdict()
		require.Equal(t, "autovacuum", v.Signal)
		require.Equal(t, throttle.Stop, v.Action)
		require.Zero(t, v.Duty)
		require.LessOrEqual(t, v.Since.Sub(began), time.Second)

		w.answer("autovacuum", `[]`)
		require.Equal(t, "busy", a.Verdict().Signal)
		w.answer("busy", `{"active": 0}`)
		require.Equal(t, "duty", a.Verdict().Signal)
		require.InDelta(t, 0.5, a.Verdict().Duty, 1e-9)
	})
}

func TestUnreadableStopsAfterAWhile(t *testing.T) {
	t.Parallel()
	inWorld(t, throttle.Default(), func(w *world) {
		t := w.T
		a := w.begin(throttle.Scope{Migration: "m"})
		w.set(func() { w.err = errors.New("connection refused") })
		w.pass(14 * time.Second)
		require.Equal(t, throttle.Go, a.Verdict().Action)
		require.Contains(t, state(t, a, "busy").Problem, "connection refused")
		w.pass(3 * time.Second)
		require.Equal(t, throttle.Stop, a.Verdict().Action)
		require.Regexp(t, `^blocked has not been readable for 1\d s, more than 15 s: connection refused$`, a.Verdict().Reason)
		require.InDelta(t, 17, len(w.taken()), 3, "about one try a second")

		w.set(func() { w.err = nil })
		w.pass(5 * time.Second)
		require.Equal(t, throttle.Go, a.Verdict().Action)
		require.Empty(t, state(t, a, "busy").Problem)
	})
}

func TestAnswersThatMakeNoSenseAreUnreadable(t *testing.T) {
	t.Parallel()
	for _, signal := range throttle.SignalNames() {
		t.Run(signal, func(t *testing.T) {
			t.Parallel()
			c := only(signal)
			c.WALRate.PerSecond = 1 << 30
			inWorld(t, c, func(w *world) {
				t := w.T
				w.set(func() { w.answers[signal] = `"no` })
				a := w.begin(throttle.Scope{Migration: "m"})
				require.Equal(t, throttle.Stop, a.Verdict().Action)
				require.Contains(t, a.Verdict().Reason, signal+" cannot be read: read answer")
			})
		})
	}
}

func TestOneSignalThatTheServerRefusesSpoilsNoOther(t *testing.T) {
	t.Parallel()
	inWorld(t, throttle.Default(), func(w *world) {
		t := w.T
		w.set(func() {
			w.errs["archive_backlog"] = &pgconn.PgError{Code: "42501", Message: "permission denied for view pg_stat_archiver"}
		})
		a := w.begin(throttle.Scope{Migration: "m"})
		require.Len(t, w.taken(), 1+7, "together, then each by itself")
		v := a.Verdict()
		require.Equal(t, throttle.Slow, v.Action)
		require.InDelta(t, 0.25, v.Duty, 1e-9)
		require.Equal(t, "archive_backlog cannot be read, work 25 % of the time: permission denied for view pg_stat_archiver: "+
			"grant the privilege, or switch the signal off", v.Reason)

		w.answer("busy", `{"active": 9}`)
		require.Equal(t, "busy", a.Verdict().Signal)
		for _, signals := range w.taken() {
			require.True(t, len(signals) == 1 || !slices.Contains(signals, "archive_backlog"))
		}
		w.set(func() { delete(w.errs, "archive_backlog"); w.answers["busy"] = `{"active": 0}` })
		w.pass(20 * time.Second)
		require.Equal(t, throttle.Go, a.Verdict().Action)
		together := func(signals []string) bool { return len(signals) > 1 && slices.Contains(signals, "archive_backlog") }
		require.True(t, slices.ContainsFunc(w.taken(), together))
	})
}

func TestHiddenSignalsThatWereAskedForStop(t *testing.T) {
	t.Parallel()
	c := throttle.Default()
	c.Busy.Mode = throttle.On
	inWorld(t, c, func(w *world) {
		t := w.T
		w.set(func() { w.answers["busy"] = `{"active": 0, "hidden": 3, "role": "app"}` })
		a := w.begin(throttle.Scope{Migration: "m"})
		require.Equal(t, throttle.Stop, a.Verdict().Action)
		require.Equal(t, "busy cannot be read: what other roles' sessions do (3 of them) is hidden from app: GRANT pg_monitor TO app", a.Verdict().Reason)
	})
}

func TestStatementsThatTakeTimeAreFewer(t *testing.T) {
	t.Parallel()
	inWorld(t, throttle.Default(), func(w *world) {
		t := w.T
		w.set(func() { w.slow = 10 * time.Millisecond })
		a := w.begin(throttle.Scope{Migration: "m"})
		w.pass(10 * time.Second)
		w.taken()
		w.pass(20 * time.Second)
		require.InDelta(t, 40, len(w.taken()), 2, "a fiftieth of the time")
		require.Equal(t, throttle.Go, a.Verdict().Action)
	})
}

func TestStopsThatLastAreReadLessOften(t *testing.T) {
	t.Parallel()
	inWorld(t, only("autovacuum", "busy"), func(w *world) {
		t := w.T
		w.set(func() { w.answers["autovacuum"] = `[{"table": 7, "pid": 99}]` })
		a := w.begin(throttle.Scope{Migration: "m", Table: 7})
		require.Equal(t, throttle.Stop, a.Verdict().Action)
		w.pass(5 * time.Second)
		require.InDelta(t, 50, len(w.taken()), 2)
		w.pass(10 * time.Second)
		require.InDelta(t, 10, len(w.taken()), 2)
		w.pass(time.Minute)
		w.taken()
		w.pass(time.Minute)
		require.InDelta(t, 12, len(w.taken()), 2)

		began := time.Now()
		w.set(func() { w.answers["autovacuum"] = `[]` })
		v, err := a.Rest(t.Context(), 0, time.Hour)
		require.NoError(t, err)
		require.Equal(t, throttle.Go, v.Action)
		require.LessOrEqual(t, since(began), 5*time.Second)
	})
}

func TestTheLogHearsOfStopsThatLast(t *testing.T) {
	t.Parallel()
	inWorld(t, only("blocked"), func(w *world) {
		t := w.T
		a := w.begin(throttle.Scope{Migration: "m"})
		a.Backends(22)
		w.set(func() { w.answers["blocked"] = `[{"by": 22, "pid": 5, "name": "web"}]` })
		w.pass(time.Second)
		w.answer("blocked", `[]`)
		require.Empty(t, w.log.String())
		w.set(func() { w.answers["blocked"] = `[{"by": 22, "pid": 5, "name": "web"}]` })
		w.pass(10 * time.Second)
		require.Contains(t, w.log.String(), "msg=throttled migration=m verdict=stop")
		require.Contains(t, w.log.String(), "1 session waiting for a lock of this migration (pid 5, web)")
		w.answer("blocked", `[]`)
		require.Contains(t, w.log.String(), "not throttled any more")
	})
}
