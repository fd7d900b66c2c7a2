package throttle_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/throttle"
)

func TestBeforeTheFirstReadingWorkStops(t *testing.T) {
	t.Parallel()
	inWorld(t, throttle.Default(), func(w *world) {
		t := w.T
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

func TestActivitiesOfOneMigrationShareItsVerdict(t *testing.T) {
	t.Parallel()
	inWorld(t, only("blocked"), func(w *world) {
		t := w.T
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

func TestRestHasTheLengthThatTheDutySays(t *testing.T) {
	t.Parallel()
	c := only()
	c.Duty = 0.25
	inWorld(t, c, func(w *world) {
		t := w.T
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
	inWorld(t, c, func(w *world) {
		t := w.T
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
