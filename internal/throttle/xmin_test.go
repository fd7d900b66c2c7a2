package throttle_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/throttle"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestXminOfARealServer(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	c := only("xmin")
	c.Xmin.Age = throttle.Duration(50 * time.Millisecond)
	address, _ := asRole(t, db)
	sampler := onServer(t, db.URL, c)
	// A new migration reads all signals at once.
	look := func(name string) *throttle.Activity {
		a := begin(t, sampler, throttle.Scope{Migration: name})
		reached(t, a, func(r throttle.Report) bool { return r.Verdict.Action != throttle.Stop })
		return a
	}
	require.Equal(t, throttle.Go, look("nothing").Verdict().Action)

	reader := session(t, withApplication(t, db.URL, "report"))
	_, err := reader.Exec(t.Context(), "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
	require.NoError(t, err)
	other := pgtest.NewEmpty(t)
	_, err = session(t, other.URL).Exec(t.Context(), "BEGIN; CREATE TABLE t ()")
	require.NoError(t, err)
	db.WaitFor(t, "SELECT max(now() - xact_start) > '60ms' FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	until(t, look("a reader"), throttle.Slow, fmt.Sprintf("the age of the transaction pid %d, report, which keeps dead rows from being removed, is ", reader.PgConn().PID()))
	_, err = reader.Exec(t.Context(), "COMMIT")
	require.NoError(t, err)
	require.Equal(t, throttle.Go, look("no reader").Verdict().Action, "the other database's does not count")

	db.Exec(t, "CREATE TABLE t ()")
	db.Exec(t, "BEGIN; LOCK TABLE t; SELECT pg_current_xact_id(); PREPARE TRANSACTION '"+db.Name+"'")
	db.WaitFor(t, "SELECT now() - prepared > '60ms' FROM pg_prepared_xacts WHERE gid = '"+db.Name+"'")
	until(t, look("a prepared one"), throttle.Slow, "the age of the prepared transaction "+db.Name)

	unprivileged := begin(t, onServer(t, address, c), throttle.Scope{Migration: "m"})
	until(t, unprivileged, throttle.Slow, "the age of the prepared transaction "+db.Name)
}

func TestXmin(t *testing.T) {
	t.Parallel()
	holder := func(kind, mark string, transactions int, seconds string) string {
		return fmt.Sprintf(`[{"kind": %q, "name": "x", "mark": %q, "transactions": %d, "seconds": %s}]`, kind, mark, transactions, seconds)
	}
	for name, c := range map[string]struct {
		config func(*throttle.Xmin)
		answer string
		passes time.Duration
		action throttle.Action
		reason string
	}{
		"young": {nil, holder("transaction", "700", 5, "20"), 0, throttle.Go, ""},
		"old": {
			nil, holder("transaction", "700", 5, "750"), 0, throttle.Slow,
			"the age of the transaction x, which keeps dead rows from being removed, is 12 min 30 s, more than 10 min: work 25 % of the time",
		},
		"many transactions": {
			func(c *throttle.Xmin) { c.Transactions, c.Duty = 1000, 0 }, holder("slot", "700", 1200, "null"), 0, throttle.Stop,
			"the age of the slot x, which keeps dead rows from being removed, is 1200 transactions, more than 1000 transactions",
		},
		"as long as it was observed": {
			nil, holder("slot", "700", 500, "null"), 11 * time.Minute, throttle.Slow,
			"the age of the slot x, which keeps dead rows from being removed, is 11 min, more than 10 min: work 25 % of the time",
		},
		"observed in a server at rest": {nil, holder("slot", "700", 5, "null"), 11 * time.Minute, throttle.Go, ""},
		"no limits":                    {func(c *throttle.Xmin) { c.Age = 0 }, holder("transaction", "1", 1<<30, "1e6"), 0, throttle.Go, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := only("xmin")
			config.Interval = throttle.Duration(time.Second)
			if c.config != nil {
				c.config(&config.Xmin)
			}
			inWorld(t, config, func(w *world) {
				t := w.T
				w.set(func() { w.answers["xmin"] = c.answer })
				a := w.begin(throttle.Scope{Migration: "m"})
				w.pass(c.passes)
				require.Equal(t, c.reason, a.Verdict().Reason)
				require.Equal(t, c.action, a.Verdict().Action)
			})
		})
	}
}

func TestXminThatMovesIsYoung(t *testing.T) {
	t.Parallel()
	config := only("xmin")
	config.Interval = throttle.Duration(time.Second)
	inWorld(t, config, func(w *world) {
		t := w.T
		a := w.begin(throttle.Scope{Migration: "m"})
		for minute := range 15 {
			w.set(func() {
				w.answers["xmin"] = fmt.Sprintf(`[{"kind": "slot", "name": "x", "mark": "%d", "transactions": 5000, "seconds": null}]`, minute)
			})
			w.pass(time.Minute)
			require.Equal(t, throttle.Go, a.Verdict().Action)
		}
	})
}
