package throttle_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/throttle"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestCustomQueriesOnARealServer(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	db.Exec(t, "CREATE TABLE q (n int)")
	for name, c := range map[string]struct {
		sql    string
		limit  float64
		action throttle.Action
		reason string
	}{
		"false":           {"SELECT false", 0, throttle.Go, ""},
		"true":            {"SELECT true", 0, throttle.Stop, "custom:mine says true"},
		"no boolean":      {"SELECT NULL::boolean", 0, throttle.Stop, "custom:mine cannot be read: the query returned no row, or NULL"},
		"integer":         {"SELECT 3", 2, throttle.Stop, "custom:mine is 3, more than 2"},
		"bigint":          {"SELECT count(*) FROM pg_class", 1e6, throttle.Go, ""},
		"numeric":         {"SELECT 2.5", 2, throttle.Stop, "custom:mine is 2.5, more than 2"},
		"double":          {"SELECT 1e0::float8", 0, throttle.Stop, "custom:mine is 1, more than 0"},
		"zero":            {"SELECT 0", 0, throttle.Go, ""},
		"no number":       {"SELECT max(n) FROM q", 0, throttle.Stop, "custom:mine cannot be read: the query returned no row, or NULL"},
		"text":            {"SELECT E'the queue\nis  full'", 0, throttle.Stop, "custom:mine says the queue is full"},
		"no text":         {"SELECT 'no'::text FROM q", 0, throttle.Go, ""},
		"NULL text":       {"SELECT NULL::text", 0, throttle.Go, ""},
		"empty varchar":   {"SELECT ''::varchar", 0, throttle.Go, ""},
		"another type":    {"SELECT now()", 0, throttle.Stop, "the query has to return a boolean, a number or a text"},
		"several rows":    {"SELECT generate_series(1, 2)", 0, throttle.Stop, "the query returns several rows"},
		"several columns": {"SELECT 1, 2", 0, throttle.Stop, "the query returns 2 columns"},
		"a mistake":       {"SELECT nothing", 0, throttle.Stop, `custom:mine cannot be read: column "nothing" does not exist (SQLSTATE 42703)`},
		"a late mistake":  {"SELECT 1 / (SELECT count(*) FROM q)", 0, throttle.Stop, "division by zero (SQLSTATE 22012)"},
		"a write":         {"INSERT INTO q VALUES (1) RETURNING n", 0, throttle.Stop, "cannot execute INSERT in a read-only transaction"},
		"too slow":        {"SELECT pg_sleep(3600)::text", 0, throttle.Stop, "canceling statement due to statement timeout"},
		"two statements":  {"SELECT 1; SELECT 2", 0, throttle.Stop, "cannot insert multiple commands into a prepared statement"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := only()
			config.Custom = []throttle.Custom{{
				Name: "mine", SQL: c.sql, Limit: c.limit,
				Every: throttle.Duration(100 * time.Millisecond), Timeout: throttle.Duration(500 * time.Millisecond),
			}}
			a := begin(t, onServer(t, db.URL, config), throttle.Scope{Migration: "m"})
			until(t, a, c.action, c.reason)
		})
	}
}

func TestCustomSignals(t *testing.T) {
	t.Parallel()
	c := only("busy")
	c.Custom = []throttle.Custom{{Name: "queue", SQL: "size", Limit: 100}, {Name: "calm", SQL: "calm", Duty: 0.3, Every: throttle.Duration(time.Minute)}}
	inWorld(t, c, func(w *world) {
		t := w.T
		size, calm, failure := 50.0, false, error(nil)
		w.set(func() {
			w.custom = func(sql string) (any, error) {
				if sql == "calm" {
					return calm, nil
				}
				return size, failure
			}
		})
		a := w.begin(throttle.Scope{Migration: "m"})
		require.Equal(t, throttle.Go, a.Verdict().Action)
		w.pass(time.Minute - time.Second)
		require.Equal(t, 6+1, w.customsSoFar())

		w.set(func() { size, calm = 120, true })
		w.pass(10 * time.Second)
		require.Equal(t, "custom:queue is 120, more than 100", a.Verdict().Reason)
		require.Equal(t, "custom:queue", a.Verdict().Signal)
		w.set(func() { size = 90 })
		w.pass(10 * time.Second)
		require.Equal(t, "custom:queue is 90, not yet less than 80 (the limit is 100)", a.Verdict().Reason)
		w.set(func() { size = 70 })
		w.pass(10 * time.Second)
		require.Equal(t, "custom:calm says true: work 30 % of the time", a.Verdict().Reason)
		require.InDelta(t, 0.3, a.Verdict().Duty, 1e-9)

		w.set(func() { failure = errors.New("no such table") })
		w.pass(12 * time.Second)
		require.Equal(t, throttle.Slow, a.Verdict().Action)
		require.Contains(t, state(t, a, "custom:queue").Problem, "no such table")
		w.pass(20 * time.Second)
		require.Regexp(t, `^custom:queue has not been readable for [23]\d s, more than 15 s: no such table$`, a.Verdict().Reason)

		before := w.customsSoFar()
		require.NoError(t, a.Override([]byte(`{"custom": []}`)))
		w.pass(time.Minute)
		require.Equal(t, before, w.customsSoFar())
		require.Equal(t, throttle.Go, a.Verdict().Action)
	})
}

func TestACustomQueryThatHangsHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	c := only("blocked")
	c.Custom = []throttle.Custom{{Name: "slow", SQL: "slow"}}
	inWorld(t, c, func(w *world) {
		t := w.T
		answer := make(chan struct{})
		sampler := throttle.NewFake(throttle.Options{Config: c, Logger: quiet()}, &throttle.Fake{
			Read:   w.read,
			Custom: func(context.Context, string) (any, error) { <-answer; return false, nil },
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- sampler.Run(ctx) }()
		a, err := sampler.Begin(throttle.Scope{Migration: "m"})
		require.NoError(t, err)
		w.pass(time.Minute)
		require.Equal(t, "custom:slow has not been read yet", a.Verdict().Reason)
		require.InDelta(t, 50+55, len(w.taken()), 5, "ten a second, and one a second once it has lasted")
		close(answer)
		synctest.Wait()
		require.Equal(t, throttle.Go, a.Verdict().Action)
		stop()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}
