package throttle_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/internal/throttle"
	"github.com/bbmd-dev/bbmd/testing/pgstandby"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// writeWAL writes some megabytes of it.
const writeWAL = "CREATE TABLE IF NOT EXISTS noise (t text); INSERT INTO noise SELECT repeat('x', 1000) FROM generate_series(1, 4000)"

func TestReplicaLagOfARealStandby(t *testing.T) {
	t.Parallel()
	primary := pgtest.NewServer(t, pgserver.Options{})
	db := primary.NewEmpty(t).Superuser(t)
	standby := pgstandby.New(t, primary, "one", nil)
	db.WaitFor(t, "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE replay_lsn IS NOT NULL)")

	c := only("replica_lag")
	c.ReplicaLag.Bytes = 2 << 20
	c.ReplicaLag.Time = 0
	sampler := onServer(t, db.URL, c)
	a := begin(t, sampler, throttle.Scope{Migration: "m"})
	relaxed := begin(t, sampler, throttle.Scope{Migration: "relaxed", Override: []byte(`{"replica_lag": {"ignore": ["one"]}}`)})
	until(t, a, throttle.Go, "")

	standby.Pause(t)
	db.Exec(t, writeWAL)
	until(t, a, throttle.Stop, "replica lag of one is ")
	require.Contains(t, a.Verdict().Reason, " MB, more than 2 MB")
	require.Equal(t, throttle.Go, relaxed.Verdict().Action)
	standby.Resume(t)
	until(t, a, throttle.Go, "")

	t.Run("in time", func(t *testing.T) { //nolint:paralleltest // it is the same standby
		c := c
		c.ReplicaLag.Bytes, c.ReplicaLag.Time = 0, throttle.Duration(time.Second)
		require.NoError(t, sampler.Configure(c))
		standby.Pause(t)
		db.Exec(t, writeWAL)
		until(t, a, throttle.Stop, "replica lag of one is 1")
		require.Contains(t, a.Verdict().Reason, " s, more than 1 s")
		standby.Resume(t)
		until(t, a, throttle.Go, "")
		require.NoError(t, sampler.Configure(c))
	})

	t.Run("of a role that may not see it", func(t *testing.T) { //nolint:paralleltest // it is the same standby
		address, role := asRole(t, db)
		blind := begin(t, onServer(t, address, c), throttle.Scope{Migration: "m"})
		until(t, blind, throttle.Slow, "how far the standbys are is hidden from "+role+": GRANT pg_monitor TO "+role)
	})

	t.Run("of a logical slot", func(t *testing.T) { //nolint:paralleltest // it is the same server
		c := c
		c.ReplicaLag.LogicalSlots = 1 << 20
		require.NoError(t, sampler.Configure(c))
		db.Exec(t, "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", db.Name)
		db.Exec(t, writeWAL)
		until(t, a, throttle.Stop, "lag of the logical slot "+db.Name)
		db.Exec(t, "SELECT pg_drop_replication_slot($1)", db.Name)
		until(t, a, throttle.Go, "")
	})

	require.NoError(t, standby.Stop(t.Context()))
	until(t, a, throttle.Stop, "the standby one disconnected ")
	require.NoError(t, standby.Restart(t.Context()))
	until(t, a, throttle.Go, "")
}

// TestWhoDecodesTheLogIsNoStandby has a session that receives changes logically, of which a role without rights sees
// little: neither that it is there nor that it went holds anything back.
func TestWhoDecodesTheLogIsNoStandby(t *testing.T) {
	t.Parallel()
	db := pgtest.NewServer(t, pgserver.Options{}).NewEmpty(t).Superuser(t)
	decoding, err := pgconn.Connect(t.Context(), db.URL+"&replication=database")
	require.NoError(t, err)
	db.WaitFor(t, "SELECT count(*) = 1 FROM pg_stat_replication")
	address, _ := asRole(t, db)
	blind := begin(t, onServer(t, address, only("replica_lag")), throttle.Scope{Migration: "m"})
	looked := func() {
		t.Helper()
		since := time.Now()
		reached(t, blind, func(r throttle.Report) bool { return r.Signals[0].Read.After(since) })
		require.Equal(t, throttle.Go, blind.Verdict().Action, blind.Verdict().Reason)
	}
	looked()

	require.NoError(t, decoding.Close(t.Context()))
	db.WaitFor(t, "SELECT count(*) = 0 FROM pg_stat_replication")
	looked()
}

const mega = 1 << 20

// lag is an answer: standbys as "name/address state replay lag", in megabytes and seconds.
func lag(flushed int, standbys ...string) string {
	var list []string
	for _, s := range standbys {
		f := strings.Fields(s)
		name, addr, _ := strings.Cut(f[0], "/")
		replay, late := "null", "null"
		if f[2] != "-" {
			var n int
			_, _ = fmt.Sscan(f[2], &n)
			replay = strconv.Itoa(n * mega)
		}
		if len(f) > 3 {
			late = f[3]
		}
		state := `"` + f[1] + `"`
		if f[1] == "?" {
			state = "null"
		}
		list = append(list, fmt.Sprintf(`{"name": %q, "addr": %q, "state": %s, "replay": %s, "lag": %s}`, name, addr, state, replay, late))
	}
	return fmt.Sprintf(`{"flushed": %d, "standbys": [%s], "slots": [{"name": "cdc", "bytes": %d}], "role": "app"}`, flushed*mega, strings.Join(list, ", "), flushed*mega/2)
}

func TestReplicaLag(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config  func(*throttle.ReplicaLag)
		answers []string
		action  throttle.Action
		reason  string
	}{
		"no standby":     {nil, []string{lag(1000)}, throttle.Go, ""},
		"within":         {nil, []string{lag(1000, "one streaming 990")}, throttle.Go, ""},
		"too many bytes": {nil, []string{lag(1000, "one streaming 990", "two streaming 900")}, throttle.Stop, "replica lag of two is 100 MB, more than 64 MB"},
		"the worst": {
			nil,
			[]string{lag(1000, "one streaming 900", "two streaming 800", "three streaming 850")},
			throttle.Stop, "replica lag of two is 200 MB, more than 64 MB",
		},
		"same names": {
			nil,
			[]string{lag(1000, "walreceiver/10.0.0.1 streaming 1000", "walreceiver/10.0.0.2 streaming 900")},
			throttle.Stop, "replica lag of walreceiver (10.0.0.2) is 100 MB, more than 64 MB",
		},
		"between the marks": {
			func(c *throttle.ReplicaLag) { c.Time = 0 },
			[]string{lag(1000, "one streaming 900"), lag(1000, "one streaming 945")},
			throttle.Stop, "replica lag of one is 55 MB, not yet less than 51.2 MB (the limit is 64 MB)",
		},
		"below the lower mark":       {nil, []string{lag(1000, "one streaming 900"), lag(1000, "one streaming 955")}, throttle.Go, ""},
		"between, from below":        {nil, []string{lag(1000, "one streaming 945")}, throttle.Go, ""},
		"the server's seconds":       {nil, []string{lag(1000, "one streaming 990 12.4")}, throttle.Stop, "replica lag of one is 12 s, more than 10 s"},
		"seconds of next to nothing": {nil, []string{lag(1000, "one streaming 1000 12.4")}, throttle.Go, ""},
		"seconds as observed": {
			nil,
			[]string{lag(1000, "one streaming 1000"), lag(1010, "one streaming 1000"), lag(1020, "one streaming 1000"), lag(1030, "one streaming 1000")},
			throttle.Stop, "replica lag of one is 15 s, more than 10 s",
		},
		"replay that goes on is not late": {
			nil,
			[]string{lag(1000, "one streaming 990"), lag(1010, "one streaming 1000"), lag(1020, "one streaming 1010"), lag(1030, "one streaming 1020")},
			throttle.Go, "",
		},
		"a base backup is no standby": {nil, []string{lag(1000, "pg_basebackup backup -")}, throttle.Go, ""},
		"and may end":                 {nil, []string{lag(1000, "pg_basebackup backup -"), lag(1000)}, throttle.Go, ""},
		"vanished":                    {nil, []string{lag(1000, "one streaming 1000"), lag(1000)}, throttle.Stop, "the standby one disconnected 4.9 s ago, less than 5 min (then it counts as removed)"},
		"came back":                   {nil, []string{lag(1000, "one streaming 1000"), lag(1000), lag(1000, "one streaming 1000")}, throttle.Go, ""},
		"vanished with the server that it followed": {
			nil,
			[]string{lag(1000, "one streaming 1000"), lag(1000), strings.Replace(lag(1000), `"role"`, `"started": "later", "role"`, 1)},
			throttle.Go, "",
		},
		"vanished long ago": {
			func(c *throttle.ReplicaLag) { c.MissingFor = throttle.Duration(8 * time.Second) },
			[]string{lag(1000, "one streaming 1000"), lag(1000), lag(1000)},
			throttle.Go, "",
		},
		"vanished and ignored": {
			func(c *throttle.ReplicaLag) { c.Ignore = []string{"one"} },
			[]string{lag(1000, "one streaming 1000"), lag(1000)},
			throttle.Go, "",
		},
		"ignored": {func(c *throttle.ReplicaLag) { c.Ignore = []string{"late"} }, []string{lag(1000, "late streaming 0 86400")}, throttle.Go, ""},
		"named":   {func(c *throttle.ReplicaLag) { c.Standbys = []string{"one"} }, []string{lag(1000, "late streaming 0", "one streaming 999")}, throttle.Go, ""},
		"named, missing": {
			func(c *throttle.ReplicaLag) { c.Standbys = []string{"one", "two"} },
			[]string{lag(1000, "one streaming 999")},
			throttle.Stop, "the standby two, which replica_lag.standbys names, is not connected",
		},
		"slots are optional": {nil, []string{lag(10000)}, throttle.Go, ""},
		"slots": {
			func(c *throttle.ReplicaLag) { c.LogicalSlots = 100 * mega },
			[]string{lag(1000)},
			throttle.Stop, "lag of the logical slot cdc is 500 MB, more than 100 MB",
		},
		"no limits": {
			func(c *throttle.ReplicaLag) { c.Bytes, c.Time = 0, 0 }, []string{lag(100000, "one streaming 0 5000")}, throttle.Go, "",
		},
		"hidden": {
			nil,
			[]string{lag(1000, "one ? -", "two ? -")},
			throttle.Slow,
			"replica_lag cannot be read, work 25 % of the time: how far the standbys are is hidden from app: GRANT pg_monitor TO app",
		},
		"hidden where it was asked for": {
			func(c *throttle.ReplicaLag) { c.Mode = throttle.On },
			[]string{lag(1000, "one ? -")},
			throttle.Stop,
			"replica_lag cannot be read: how far the standbys are is hidden from app: GRANT pg_monitor TO app",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := only("replica_lag")
			if c.config != nil {
				c.config(&config.ReplicaLag)
			}
			inWorld(t, config, func(w *world) {
				t := w.T
				a := w.begin(throttle.Scope{Migration: "m"})
				for _, answer := range c.answers {
					w.answer("replica_lag", answer)
				}
				require.Equal(t, c.reason, a.Verdict().Reason)
				require.Equal(t, c.action, a.Verdict().Action)
			})
		})
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	var h throttle.History
	start := time.Unix(1000, 0)
	at := func(second int) time.Time { return start.Add(time.Duration(second) * time.Second) }
	require.Zero(t, h.Since(5, at(0)))
	for second := range 10000 {
		h.Add(int64(second*10), at(second))
	}
	require.Zero(t, h.Since(99990, at(9999)), "up to date")
	require.Equal(t, time.Second, h.Since(99980, at(10000)))
	require.Equal(t, 1000*time.Second, h.Since(89990, at(10000-1+1)))
	require.GreaterOrEqual(t, h.Since(5, at(10000)), 50*time.Minute, "as far as is remembered, at least")

	h.Add(50, at(10001))
	require.Zero(t, h.Since(50, at(10001)), "another server begins anew")
}
