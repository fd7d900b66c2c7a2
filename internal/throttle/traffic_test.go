package throttle_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/internal/throttle"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestTrafficDuty(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sessions int     // as much as counts
		least    float64 // duty
		steps    []int   // what is read, each for five seconds
		action   throttle.Action
		duty     float64
		reason   string
	}{
		"nobody":                             {10, 0.02, []int{0}, throttle.Go, 1, ""},
		"now and then somebody":              {10, 0.02, []int{1}, throttle.Go, 1, ""},
		"some":                               {10, 0.02, []int{4}, throttle.Slow, 0.271, "others run statements (4 sessions): work 27.1 % of the time"},
		"half of it is half of the factors":  {20, 0.01, []int{11}, throttle.Slow, 0.1, "others run statements (11 sessions): work 10 % of the time"},
		"as much as counts":                  {10, 0.02, []int{10}, throttle.Slow, 0.02, "others run statements (10 sessions): work 2 % of the time"},
		"more is no less work":               {10, 0.02, []int{4000}, throttle.Slow, 0.02, "work 2 % of the time"},
		"by default two are as many":         {2, 0.02, []int{2}, throttle.Slow, 0.02, "others run statements (2 sessions): work 2 % of the time"},
		"it has to end to be over":           {20, 0.02, []int{20, 2}, throttle.Slow, 1, "others run statements (2 sessions): work 100 % of the time"},
		"it is over":                         {20, 0.02, []int{20, 1, 0}, throttle.Go, 1, ""},
		"it begins again above where it was": {20, 0.02, []int{20, 0, 2}, throttle.Go, 1, ""},
		"never below all the work there is":  {10, 1, []int{100}, throttle.Slow, 1, ""},
		"nothing beside others":              {10, 0, []int{10}, throttle.Stop, 0, "others run statements (10 sessions): waits until they do not"},
		"less before there are as many":      {10, 0, []int{4}, throttle.Slow, 0.667, "work 66.7 % of the time"},
		"a stop stands for a while":          {10, 0, []int{10, 9}, throttle.Stop, 0, "(9 sessions)"},
		"and lifts":                          {10, 0, []int{10, 7}, throttle.Slow, 0.333, "(7 sessions)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := only("traffic")
			config.Traffic.Sessions, config.Traffic.Duty = c.sessions, throttle.Share(c.least)
			inWorld(t, config, func(w *world) {
				t := w.T
				a := w.begin(throttle.Scope{Migration: "m"})
				for _, sessions := range c.steps {
					w.answer("traffic", fmt.Sprintf(`{"sessions": %d}`, sessions))
					w.pass(5 * time.Second)
				}
				v := a.Verdict()
				require.Equal(t, c.action, v.Action, v.Reason)
				require.InDelta(t, c.duty, v.Duty, 0.005)
				require.Contains(t, v.Reason, c.reason)
			})
		})
	}
}

// It falls within a second, and is back some seconds after the last statement.
func TestTrafficComesAndGoes(t *testing.T) {
	t.Parallel()
	inWorld(t, only("traffic"), func(w *world) {
		t := w.T
		a := w.begin(throttle.Scope{Migration: "m"})
		w.pass(10 * time.Second)
		require.Equal(t, throttle.Go, a.Verdict().Action)
		duty := 1.0
		w.set(func() { w.answers["traffic"] = `{"sessions": 4}` })
		for range 4 {
			w.pass(200 * time.Millisecond)
			require.Less(t, a.Verdict().Duty, duty)
			duty = a.Verdict().Duty
		}
		require.InDelta(t, 0.02, duty, 1e-9)

		w.set(func() { w.answers["traffic"] = `{"sessions": 0}` })
		w.pass(time.Second) // it takes a moment to be sure
		for range 3 {
			require.Greater(t, a.Verdict().Duty, duty)
			duty = a.Verdict().Duty
			w.pass(time.Second)
		}
		w.pass(time.Second)
		require.Equal(t, throttle.Go, a.Verdict().Action)
		require.Empty(t, a.Verdict().Reason)
	})
}

// Who enqueues, or resumes, is met by the first reading. Their migration begins at full speed,
// on a server that nobody else uses, and so does the next one after a pause.
func TestOneStatementBeforeTheFirstReadingIsNoTraffic(t *testing.T) {
	t.Parallel()
	inWorld(t, only("traffic"), func(w *world) {
		t := w.T
		for _, pause := range []time.Duration{time.Second, time.Minute, 0} {
			w.set(func() {
				w.answers["traffic"] = `{"sessions": 1, "hidden": 1, "role": "app", "within": {"7": "/1200"}}`
			})
			a := w.begin(throttle.Scope{Migration: "m"})
			v := state(t, a, "traffic")
			require.InDelta(t, 0.1, v.Value, 0.01) // a tenth of a second of it
			w.set(func() { w.answers["traffic"] = `{"sessions": 0}` })
			for range 30 {
				w.pass(100 * time.Millisecond)
				require.Equal(t, throttle.Go, a.Verdict().Action, a.Verdict().Reason)
			}
			a.End()
			w.pass(pause)
		}
	})
}

// However seldom it is looked at, and later and later.
func TestTrafficAtTheLongestInterval(t *testing.T) {
	t.Parallel()
	config := only("traffic")
	config.Interval = throttle.Duration(10 * time.Second)
	inWorld(t, config, func(w *world) {
		t := w.T
		a := w.begin(throttle.Scope{Migration: "m"})
		for n := range 6 {
			w.set(func() {
				w.answers["traffic"], w.slow = `{"sessions": 4}`, time.Duration(n)*10*time.Millisecond
			})
			w.pass(10 * time.Second)
		}
		require.InDelta(t, 0.02, a.Verdict().Duty, 1e-9)
	})
}

// Where there is traffic, each of many short migrations does not begin at full speed.
func TestTrafficOutlivesAMigration(t *testing.T) {
	t.Parallel()
	inWorld(t, only("traffic"), func(w *world) {
		t := w.T
		first := w.begin(throttle.Scope{Migration: "first"})
		w.answer("traffic", `{"sessions": 4}`)
		first.End()
		w.pass(time.Second)
		second := w.begin(throttle.Scope{Migration: "second"})
		require.InDelta(t, 0.02, second.Verdict().Duty, 1e-9)
		second.End()
		w.set(func() { w.answers["traffic"] = `{"sessions": 0}` })
		w.pass(time.Minute)
		third := w.begin(throttle.Scope{Migration: "third"})
		require.Equal(t, throttle.Go, third.Verdict().Action, third.Verdict().Reason)
	})
}

// Who rests is woken when the duty rises, however slowly.
func TestRestEndsWithTheTraffic(t *testing.T) {
	t.Parallel()
	inWorld(t, only("traffic"), func(w *world) {
		t := w.T
		a := w.begin(throttle.Scope{Migration: "m"})
		w.answer("traffic", `{"sessions": 4}`)
		w.set(func() { w.answers["traffic"] = `{"sessions": 0}` })
		began := time.Now()
		v, err := a.Rest(t.Context(), 500*time.Millisecond, time.Minute) // 24.5 s at 2 %
		require.NoError(t, err)
		require.NotEqual(t, throttle.Stop, v.Action)
		require.Less(t, since(began), 5*time.Second)
	})
}

func TestWorkersShareWhatTrafficLeaves(t *testing.T) {
	t.Parallel()
	inWorld(t, only("traffic", "autovacuum"), func(w *world) {
		t := w.T
		first := w.begin(throttle.Scope{Migration: "first", Table: 1})
		also := w.begin(throttle.Scope{Migration: "first", Table: 1})
		other := w.begin(throttle.Scope{Migration: "other", Table: 2})
		kept := w.begin(throttle.Scope{Migration: "kept", Table: 3})
		w.set(func() { w.answers["autovacuum"] = `[{"table": 3, "pid": 99}]` })
		w.answer("traffic", `{"sessions": 4}`)
		require.Equal(t, throttle.Stop, kept.Verdict().Action)
		require.InDelta(t, 0.02/3, other.Verdict().Duty, 1e-9)
		require.Equal(t, "others run statements (4 sessions): work 0.67 % of the time, with 3 workers", other.Verdict().Reason)
		other.End()
		also.End()
		w.pass(time.Second)
		require.InDelta(t, 0.02, first.Verdict().Duty, 1e-9)
	})
}

func TestTrafficIsNotBlindToWhatItDoesNotSee(t *testing.T) {
	t.Parallel()
	inWorld(t, only("traffic"), func(w *world) {
		t := w.T
		a := w.begin(throttle.Scope{Migration: "m"})
		w.answer("traffic", `{"sessions": 3, "hidden": 5, "role": "app"}`)
		require.InDelta(t, 0.02, a.Verdict().Duty, 1e-9, "what is seen is worse than being blind")
		w.answer("traffic", `{"sessions": 0, "hidden": 5, "role": "app"}`)
		require.InDelta(t, 0.25, a.Verdict().Duty, 1e-9)
		require.Contains(t, a.Verdict().Reason, "GRANT pg_monitor TO app")

		w.answer("traffic", `{"sessions": 0, "hidden": 5, "role": "app", "within": {"7": "/1200", "8": "1201/1200"}}`)
		require.InDelta(t, 0.25, a.Verdict().Duty, 1e-9, "transactions that last are none")
		for n := range 20 {
			w.set(func() {
				w.answers["traffic"] = fmt.Sprintf(`{"sessions": 0, "hidden": 5, "role": "app", "within": {"7": "/%d"}}`, 1300+n)
			})
			w.pass(100 * time.Millisecond)
		}
		require.InDelta(t, 0.02, a.Verdict().Duty, 1e-9)
		require.Contains(t, a.Verdict().Reason, "others run statements")
	})
}

// A role without privileges sees that others are in one transaction after the other.
func TestHiddenTrafficIsTraffic(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t, pgserver.Options{})
	db := server.NewEmpty(t)
	address, role := asRole(t, db)
	db.Exec(t, "CREATE TABLE t (n int)")
	a := begin(t, onServer(t, address, only("traffic")), throttle.Scope{Migration: "m"})
	_ = session(t, db.URL)
	until(t, a, throttle.Slow, "is hidden from "+role)
	require.InDelta(t, 0.25, a.Verdict().Duty, 1e-9)
	for range 4 {
		chatter(t, db.URL, "INSERT INTO t SELECT 1 FROM pg_sleep(0.01)")
	}
	until(t, a, throttle.Slow, " sessions): work 2 % of the time")
}

// Statements one after the other are traffic. One that lasts, a session that waits in its
// transaction, and bbmd's own are none.
func TestTrafficCountsWhoRunsStatements(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t, pgserver.Options{})
	db, other := server.NewEmpty(t), server.NewEmpty(t)
	a := begin(t, onServer(t, db.URL, only("traffic")), throttle.Scope{Migration: "m"})
	until(t, a, throttle.Go, "")

	inBackground(t, db.URL, "SELECT pg_sleep(3600)")
	_, err := session(t, db.URL).Exec(t.Context(), "BEGIN; SELECT 1")
	require.NoError(t, err)
	own := chatter(t, withApplication(t, db.URL, "bbmd/other/m"), "SELECT 1")
	reached(t, a, func(r throttle.Report) bool { return r.Signals[0].Value < 0.1 })

	var ends []func()
	for range 3 { // more than it takes, as they get their turn late on a busy machine
		ends = append(ends, chatter(t, db.URL, "SELECT 1"), chatter(t, other.URL, "SELECT 1"))
	}
	until(t, a, throttle.Slow, " sessions): work 2 % of the time")
	for _, end := range ends {
		end()
	}
	until(t, a, throttle.Go, "")
	own()
}

// chatter runs a statement one time after the other until it is told to stop, or the test ends.
func chatter(t *testing.T, address, sql string) (stop func()) {
	t.Helper()
	conn := session(t, address)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			if _, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
				return
			}
		}
	}()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			close(quit)
			<-done
		}
	}
	t.Cleanup(stop)
	return stop
}
