package throttle_test

import (
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/internal/throttle"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestBusyCountsWhatOthersDo(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t, pgserver.Options{})
	db := server.NewEmpty(t)
	const lock = "SELECT pg_advisory_lock(1)"
	other := server.NewEmpty(t) // the cores are those of all databases
	for _, address := range []string{db.URL, other.URL} {
		_, err := session(t, address).Exec(t.Context(), lock)
		require.NoError(t, err)
	}

	c := only("busy")
	c.Busy.Cores = 4
	sampler := onServer(t, db.URL, c)
	a := begin(t, sampler, throttle.Scope{Migration: "m"})
	until(t, a, throttle.Go, "")

	var ends []func()
	for range 2 { // a session that waits for a lock does not idle
		ends = append(ends, inBackground(t, db.URL, lock))
	}
	inBackground(t, other.URL, lock)
	for _, idle := range []string{withApplication(t, db.URL, "bbmd/other/m"), withApplication(t, db.URL, "bbmd/listener")} {
		inBackground(t, idle, lock)
	}
	inBackground(t, db.URL, "SELECT pg_sleep(3600)")
	db.WaitFor(t, "SELECT count(*) = 5 FROM pg_locks WHERE NOT granted")

	reached(t, a, func(r throttle.Report) bool {
		return math.Abs(r.Signals[0].Value-3) < 0.1 && r.Verdict.Action == throttle.Slow
	})
	require.InDelta(t, 0.0625, a.Verdict().Duty, 0.02)
	require.Contains(t, a.Verdict().Reason, " of 4 cores busy: work ")

	c.Busy.Floor, c.Busy.Cores = 0, 2
	require.NoError(t, sampler.Configure(c))
	until(t, a, throttle.Stop, " of 2 cores busy")
	for _, end := range ends {
		end()
	}
	until(t, a, throttle.Slow, "of 2 cores")
}

func TestBusyDuty(t *testing.T) {
	t.Parallel()
	c := only("busy")
	inWorld(t, c, func(w *world) {
		t := w.T
		a := w.begin(throttle.Scope{Migration: "m"})
		w.answer("busy", `{"active": 2}`)
		v := a.Verdict()
		require.InDelta(t, 0.25, v.Duty, 0.01)
		require.Contains(t, v.Reason, "other sessions keep 2 of 4 cores busy (the number of cores is a guess: set busy.cores): work 25")

		w.answer("busy", `{"active": 400}`)
		require.InDelta(t, 0.05, a.Verdict().Duty, 1e-9, "the floor")

		w.answer("busy", `{"active": 0, "local": true}`)
		w.pass(10 * time.Second)
		require.Equal(t, throttle.Go, a.Verdict().Action)
		require.InDelta(t, runtime.NumCPU(), state(t, a, "busy").Limit, 1e-9)
	})
}

func TestBusyIsSmoothed(t *testing.T) {
	t.Parallel()
	inWorld(t, only("busy"), func(w *world) {
		t := w.T
		a := w.begin(throttle.Scope{Migration: "m"})
		w.pass(10 * time.Second)
		w.set(func() { w.answers["busy"] = `{"active": 4}` })
		w.pass(time.Second)
		require.InDelta(t, 4*(1-1/math.E), state(t, a, "busy").Value, 0.3)
		w.set(func() { w.answers["busy"] = `{"active": 0}` })
		w.pass(time.Second)
		require.InDelta(t, 4*(1-1/math.E)/math.E, state(t, a, "busy").Value, 0.3)
	})
}

func TestBusyDoesNotFlicker(t *testing.T) {
	t.Parallel()
	c := only("busy")
	c.Busy.Cores = 100
	inWorld(t, c, func(w *world) {
		t := w.T
		a := w.begin(throttle.Scope{Migration: "m"})
		for _, step := range []struct {
			active string
			want   throttle.Action
		}{{"4", throttle.Go}, {"6", throttle.Slow}, {"4", throttle.Slow}, {"1", throttle.Go}, {"4", throttle.Go}} {
			w.answer("busy", `{"active": `+step.active+`}`)
			w.pass(5 * time.Second)
			require.Equal(t, step.want, a.Verdict().Action, step.active)
		}
	})
}

func TestBusyIsNotBlindToWhatItDoesNotSee(t *testing.T) {
	t.Parallel()
	inWorld(t, only("busy"), func(w *world) {
		t := w.T
		a := w.begin(throttle.Scope{Migration: "m"})
		w.answer("busy", `{"active": 3, "hidden": 5, "role": "app"}`)
		require.InDelta(t, 0.0625, a.Verdict().Duty, 0.01, "what is seen is worse than being blind")
		w.answer("busy", `{"active": 0, "hidden": 5, "role": "app"}`)
		require.InDelta(t, 0.25, a.Verdict().Duty, 1e-9)
		w.answer("busy", `{"active": 0, "silent": 2}`)
		require.Contains(t, a.Verdict().Reason, "2 sessions with track_activities off: set it on")
	})
}
