package throttle_test

import (
	"context"
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
	inWorld(t, throttle.Default(), func(t *testing.T, w *world) {
		w.pass(time.Hour)
		require.Empty(t, w.taken())

		a := w.begin(throttle.Scope{Migration: "m"})
		require.Len(t, w.taken(), 1)
		require.Equal(t, throttle.Go, a.Verdict().Action)
		w.pass(10 * time.Second)
		taken := w.taken()
		require.InDelta(t, 100, len(taken), 1)
		slices.Sort(taken[0])
		require.Equal(t, []string{"blocked", "busy", "replica_lag"}, taken[0])
		require.Equal(t, map[string]int{"busy": 100, "blocked": 100, "replica_lag": 100, "archive_backlog": 10, "autovacuum": 10, "xmin": 2}, counted(taken))

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

func TestBeforeTheFirstReadingWorkStops(t *testing.T) {
	t.Parallel()
	inWorld(t, throttle.Default(), func(t *testing.T, w *world) {
		w.set(func() { w.slow = 300 * time.Millisecond })
		a := w.begin(throttle.Scope{Migration: "m"})
		require.Equal(t, throttle.Stop, a.Verdict().Action)
		require.Contains(t, a.Verdict().Reason, "for the first time")

		began := time.Now()
		v, err := a.Rest(t.Context(), 0, time.Second)
		require.NoError(t, err)
		require.Equal(t, throttle.Go, v.Action)
		require.Equal(t, 300*time.Millisecond, since(began))
	})
}

func TestASecondMigrationIsMeasuredOfItsOwn(t *testing.T) {
	t.Parallel()
	inWorld(t, throttle.Default(), func(t *testing.T, w *world) {
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

func TestActivitiesOfOneMigrationShareItsVerdict(t *testing.T) {
	t.Parallel()
	inWorld(t, only("blocked"), func(t *testing.T, w *world) {
		one, two := w.begin(throttle.Scope{Migration: "m"}), w.begin(throttle.Scope{Migration: "m"})
		one.Backends(11)
		two.Backends(22)
		w.answer("blocked", `[{"by": 22, "pid": 5, "name": "web"}]`)
		require.Equal(t, throttle.Stop, one.Verdict().Action)
		require.Equal(t, one.Verdict(), two.Verdict())

		two.End()
		w.pass(time.Second)
		require.Equal(t, throttle.Go, one.Verdict().Action, "nobody waits for the one that is left")
	})
}

func TestWorstSignalWins(t *testing.T) {
	t.Parallel()
	c := throttle.Default()
	c.Duty = 0.5
	inWorld(t, c, func(t *testing.T, w *world) {
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
	inWorld(t, throttle.Default(), func(t *testing.T, w *world) {
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
	c := only("blocked")
	c.UnreadableAfter = 0
	for _, signal := range throttle.SignalNames() {
		t.Run(signal, func(t *testing.T) {
			t.Parallel()
			c := only(signal)
			c.WALRate.PerSecond = 1 << 30
			inWorld(t, c, func(t *testing.T, w *world) {
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
	inWorld(t, throttle.Default(), func(t *testing.T, w *world) {
		w.set(func() {
			w.errs["archive_backlog"] = &pgconn.PgError{Code: "42501", Message: "permission denied for view pg_stat_archiver"}
		})
		a := w.begin(throttle.Scope{Migration: "m"})
		require.Len(t, w.taken(), 1+6, "together, then each by itself")
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
	inWorld(t, c, func(t *testing.T, w *world) {
		w.set(func() { w.answers["busy"] = `{"active": 0, "hidden": 3, "role": "app"}` })
		a := w.begin(throttle.Scope{Migration: "m"})
		require.Equal(t, throttle.Stop, a.Verdict().Action)
		require.Equal(t, "busy cannot be read: what other roles' sessions do (3 of them) is hidden from app: GRANT pg_monitor TO app", a.Verdict().Reason)
	})
}

func TestStatementsThatTakeTimeAreFewer(t *testing.T) {
	t.Parallel()
	inWorld(t, throttle.Default(), func(t *testing.T, w *world) {
		w.set(func() { w.slow = 10 * time.Millisecond })
		a := w.begin(throttle.Scope{Migration: "m"})
		w.pass(time.Second)
		w.taken()
		w.pass(20 * time.Second)
		require.InDelta(t, 40, len(w.taken()), 2, "a fiftieth of the time")
		require.Equal(t, throttle.Go, a.Verdict().Action)
	})
}

func TestStopsThatLastAreReadLessOften(t *testing.T) {
	t.Parallel()
	inWorld(t, only("autovacuum", "busy"), func(t *testing.T, w *world) {
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

func TestRestHasTheLengthThatTheDutySays(t *testing.T) {
	t.Parallel()
	c := only()
	c.Duty = 0.25
	inWorld(t, c, func(t *testing.T, w *world) {
		a := w.begin(throttle.Scope{Migration: "m"})
		began := time.Now()
		v, err := a.Rest(t.Context(), 20*time.Millisecond, 0)
		require.NoError(t, err)
		require.Equal(t, throttle.Slow, v.Action)
		require.Equal(t, 60*time.Millisecond, since(began))

		began = time.Now()
		c.Duty = 0.001
		require.NoError(t, w.sampler.Configure(c))
		synctest.Wait()
		_, err = a.Rest(t.Context(), time.Hour, 0)
		require.NoError(t, err)
		require.Equal(t, 30*time.Second, since(began), "at most")

		c.Duty = 1
		require.NoError(t, w.sampler.Configure(c))
		synctest.Wait()
		began = time.Now()
		_, err = a.Rest(t.Context(), time.Hour, 0)
		require.NoError(t, err)
		require.Zero(t, since(began))
	})
}

func TestRestEndsWithTheReason(t *testing.T) {
	t.Parallel()
	c := only("autovacuum")
	c.Duty = 0.001
	inWorld(t, c, func(t *testing.T, w *world) {
		a := w.begin(throttle.Scope{Migration: "m", Table: 7})
		time.AfterFunc(4*time.Second, func() {
			c.Duty = 1
			require.NoError(t, w.sampler.Configure(c))
		})
		began := time.Now()
		_, err := a.Rest(t.Context(), time.Minute, 0)
		require.NoError(t, err)
		require.Equal(t, 4*time.Second, since(began), "a rest")

		w.answer("autovacuum", `[{"table": 7, "pid": 99}]`)
		time.AfterFunc(3*time.Second, func() { w.set(func() { w.answers["autovacuum"] = `[]` }) })
		began = time.Now()
		v, err := a.Rest(t.Context(), 0, 10*time.Second)
		require.NoError(t, err)
		require.Equal(t, throttle.Go, v.Action)
		require.InDelta(t, 3, since(began).Seconds(), 1.01, "a stop")

		w.answer("autovacuum", `[{"table": 7, "pid": 99}]`)
		began = time.Now()
		v, err = a.Rest(t.Context(), 0, 10*time.Second)
		require.NoError(t, err)
		require.Equal(t, throttle.Stop, v.Action)
		require.Equal(t, 10*time.Second, since(began), "patience")

		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("paused")
		time.AfterFunc(time.Second, func() { cancel(gone) })
		_, err = a.Rest(ctx, 0, time.Hour)
		require.ErrorIs(t, err, gone)
	})
}

func TestWindowsOpenWithoutAStatementInBetween(t *testing.T) {
	t.Parallel()
	c := throttle.Default()
	c.Interval = throttle.Duration(10 * time.Second)
	window, err := throttle.ParseWindow("02:00-04:00")
	require.NoError(t, err)
	c.Windows = []throttle.Window{window}
	inWorld(t, c, func(t *testing.T, w *world) { // Saturday 2000-01-01 00:00 UTC
		began := time.Now()
		a := w.begin(throttle.Scope{Migration: "m"})
		v := a.Verdict()
		require.Equal(t, throttle.Stop, v.Action)
		require.Equal(t, "outside of the time windows (02:00-04:00 UTC): the next opens at Sat 2000-01-01 02:00 UTC, in 2 h", v.Reason)
		require.Equal(t, began.Add(2*time.Hour), v.Until.Local())

		v, err := a.Rest(t.Context(), 0, 10*time.Second)
		require.NoError(t, err)
		require.Equal(t, throttle.Stop, v.Action)
		require.Zero(t, since(began), "no patience with a stop of two hours")

		w.pass(2*time.Hour - time.Second)
		require.Empty(t, w.taken())
		require.Equal(t, throttle.Stop, a.Verdict().Action)
		w.pass(time.Second)
		require.Equal(t, throttle.Go, a.Verdict().Action)
		require.NotEmpty(t, w.taken())

		w.pass(2*time.Hour + time.Second)
		require.Equal(t, throttle.Stop, a.Verdict().Action)
		w.taken()
		w.pass(22*time.Hour - 2*time.Second)
		require.Empty(t, w.taken())
		w.pass(time.Second)
		require.Equal(t, throttle.Go, a.Verdict().Action)
		require.Equal(t, []string{"m go ", "m stop windows", "m go "}, w.changes)
	})
}

func TestWindowsAloneCloseInTime(t *testing.T) {
	t.Parallel()
	c := only()
	window, err := throttle.ParseWindow("00:00-01:00")
	require.NoError(t, err)
	c.Windows = []throttle.Window{window}
	inWorld(t, c, func(t *testing.T, w *world) {
		a := w.begin(throttle.Scope{Migration: "m"})
		require.Equal(t, throttle.Go, a.Verdict().Action)
		w.pass(time.Hour + time.Second)
		require.Equal(t, throttle.Stop, a.Verdict().Action)
		require.Empty(t, w.taken())
	})
}

func TestConfigurationsChangeLive(t *testing.T) {
	t.Parallel()
	inWorld(t, only("autovacuum"), func(t *testing.T, w *world) {
		w.set(func() { w.answers["autovacuum"] = `[{"table": 7, "pid": 99}]`; w.answers["busy"] = `{"active": 9}` })
		a := w.begin(throttle.Scope{Migration: "m", Table: 7})
		require.Equal(t, "autovacuum", a.Verdict().Signal)

		require.NoError(t, w.sampler.Configure(only("busy")))
		synctest.Wait()
		require.Equal(t, "busy", a.Verdict().Signal)
		require.InDelta(t, 0.05, a.Verdict().Duty, 1e-9)

		bad := throttle.Default()
		bad.Resume, bad.Duty = 0, 2
		err := w.sampler.Configure(bad)
		require.ErrorContains(t, err, "resume")
		require.ErrorContains(t, err, "duty")
		require.Equal(t, "busy", a.Verdict().Signal)

		off := throttle.Default()
		off.Enabled = false
		require.NoError(t, w.sampler.Configure(off))
		synctest.Wait()
		w.taken()
		w.pass(time.Minute)
		require.Equal(t, throttle.Go, a.Verdict().Action)
		require.Empty(t, w.taken())
	})
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	inWorld(t, only("autovacuum"), func(t *testing.T, w *world) {
		_, err := w.sampler.Begin(throttle.Scope{Migration: "m", Override: []byte(`{"dutty": 0.5}`)})
		require.ErrorContains(t, err, "dutty")
		require.Empty(t, w.sampler.Reports())

		slow := w.begin(throttle.Scope{Migration: "slow", Override: []byte(`{"duty": "30%"}`)})
		plain := w.begin(throttle.Scope{Migration: "plain"})
		require.InDelta(t, 0.3, slow.Verdict().Duty, 1e-9)
		require.Equal(t, "the duty cycle is 30 %: work that much of the time", slow.Verdict().Reason)
		require.InDelta(t, 1, plain.Verdict().Duty, 1e-9)

		require.Error(t, slow.Override([]byte(`{"duty": 3}`)))
		require.InDelta(t, 0.3, slow.Verdict().Duty, 1e-9)
		require.NoError(t, slow.Override([]byte(`{"duty": 0}`)))
		synctest.Wait()
		require.Equal(t, "the duty cycle is 0 %", slow.Verdict().Reason)
		require.NoError(t, slow.Override(nil))
		synctest.Wait()
		require.Equal(t, throttle.Go, slow.Verdict().Action)
	})
}

func TestOverridesExpire(t *testing.T) {
	t.Parallel()
	inWorld(t, throttle.Default(), func(t *testing.T, w *world) {
		a := w.begin(throttle.Scope{Migration: "m", Override: []byte(`{"duty": 0, "expires_at": "2000-01-01T02:00:00Z"}`)})
		require.Equal(t, throttle.Stop, a.Verdict().Action)
		w.pass(2*time.Hour - time.Second)
		require.Equal(t, throttle.Stop, a.Verdict().Action)
		require.Empty(t, w.taken())
		w.pass(time.Second)
		require.Equal(t, throttle.Go, a.Verdict().Action)
	})
}

func TestAnInvalidConfigurationStopsAllWork(t *testing.T) {
	t.Parallel()
	inWorld(t, throttle.Config{}, func(t *testing.T, w *world) {
		a := w.begin(throttle.Scope{Migration: "m"})
		require.Equal(t, throttle.Stop, a.Verdict().Action)
		require.Contains(t, a.Verdict().Reason, "throttle configuration: interval")
		require.NoError(t, w.sampler.Configure(throttle.Default()))
		synctest.Wait()
		require.Equal(t, throttle.Go, a.Verdict().Action)
	})
}

func TestTheLogHearsOfStopsThatLast(t *testing.T) {
	t.Parallel()
	inWorld(t, only("blocked"), func(t *testing.T, w *world) {
		a := w.begin(throttle.Scope{Migration: "m"})
		a.Backends(22)
		w.set(func() { w.answers["blocked"] = `[{"by": 22, "pid": 5, "name": "web"}]` })
		w.pass(time.Second)
		w.answer("blocked", `[]`)
		require.Empty(t, w.log.String())
		w.set(func() { w.answers["blocked"] = `[{"by": 22, "pid": 5, "name": "web"}]` })
		w.pass(10 * time.Second)
		require.Contains(t, w.log.String(), "msg=throttled migration=m action=stop")
		require.Contains(t, w.log.String(), "1 session waiting for a lock of this migration (pid 5, web)")
		w.answer("blocked", `[]`)
		require.Contains(t, w.log.String(), "not throttled any more")
	})
}
