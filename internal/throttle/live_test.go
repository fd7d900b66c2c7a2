package throttle_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/throttle"
)

func TestWindowsOpenWithoutAStatementInBetween(t *testing.T) {
	t.Parallel()
	c := throttle.Default()
	c.Interval = throttle.Duration(10 * time.Second)
	window, err := throttle.ParseWindow("02:00-04:00")
	require.NoError(t, err)
	c.Windows = []throttle.Window{window}
	inWorld(t, c, func(w *world) { // Saturday 2000-01-01 00:00 UTC
		t := w.T
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
	inWorld(t, c, func(w *world) {
		t := w.T
		a := w.begin(throttle.Scope{Migration: "m"})
		require.Equal(t, throttle.Go, a.Verdict().Action)
		w.pass(time.Hour + time.Second)
		require.Equal(t, throttle.Stop, a.Verdict().Action)
		require.Empty(t, w.taken())
	})
}

func TestConfigurationsChangeLive(t *testing.T) {
	t.Parallel()
	inWorld(t, only("autovacuum"), func(w *world) {
		t := w.T
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
	inWorld(t, only("autovacuum"), func(w *world) {
		t := w.T
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
	inWorld(t, throttle.Default(), func(w *world) {
		t := w.T
		a := w.begin(throttle.Scope{Migration: "m", Override: []byte(`{"duty": 0, "expires_at": "2000-01-01T02:00:00Z"}`)})
		require.WithinDuration(t, time.Now().Add(2*time.Hour), a.Verdict().Until, 0)
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
	inWorld(t, throttle.Config{}, func(w *world) {
		t := w.T
		a := w.begin(throttle.Scope{Migration: "m"})
		require.Equal(t, throttle.Stop, a.Verdict().Action)
		require.Contains(t, a.Verdict().Reason, "throttle configuration: interval")
		require.NoError(t, w.sampler.Configure(throttle.Default()))
		synctest.Wait()
		require.Equal(t, throttle.Go, a.Verdict().Action)
	})
}
