package throttle_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/throttle"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestWALRate(t *testing.T) {
	t.Parallel()
	c := only()
	c.WALRate.PerSecond = 100 * mega
	inWorld(t, c, func(w *world) {
		t := w.T
		a := w.begin(throttle.Scope{Migration: "m"})
		position := 0
		write := func(perSecond, seconds int) throttle.Verdict {
			for range seconds {
				position += perSecond * mega
				w.set(func() { w.answers["wal_rate"] = strconv.Itoa(position) })
				w.pass(time.Second)
			}
			return a.Verdict()
		}
		require.Equal(t, throttle.Go, write(40, 60).Action)
		v := write(75, 60)
		require.Equal(t, "WAL rate is 75 MB/s, more than half of 100 MB/s: work 50 % of the time", v.Reason)
		require.InDelta(t, 0.5, v.Duty, 0.01)
		require.InDelta(t, 0.02, write(99, 60).Duty, 1e-3)
		require.Equal(t, "WAL rate is 200 MB/s, more than 100 MB/s", write(200, 60).Reason)
		v = write(90, 60)
		require.Equal(t, throttle.Stop, v.Action)
		require.Equal(t, "WAL rate is 90 MB/s, not yet less than 80 MB/s (the limit is 100 MB/s)", v.Reason)
		require.InDelta(t, 0.5, write(75, 60).Duty, 0.01)
		position = 0 // another server
		require.Equal(t, throttle.Go, write(1, 60).Action)
	})
}

// TestWALRateSettles lets work that writes 150 MB/s at full duty find its duty.
func TestWALRateSettles(t *testing.T) {
	t.Parallel()
	c := only()
	c.WALRate.PerSecond = 100 * mega
	inWorld(t, c, func(w *world) {
		t := w.T
		a := w.begin(throttle.Scope{Migration: "m"})
		position, duties := 0.0, []float64{}
		for range 120 {
			duty := a.Verdict().Duty
			position += (20 + 150*duty) * mega
			w.set(func() { w.answers["wal_rate"] = fmt.Sprintf("%.0f", position) })
			w.pass(time.Second)
			duties = append(duties, duty)
		}
		for _, duty := range duties[60:] {
			require.InDelta(t, 0.4, duty, 0.1) // at 80 MB/s in all
		}
	})
}

func TestWALRateOfARealServer(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	c := only()
	c.WALRate.PerSecond = 1
	a := begin(t, onServer(t, db.URL, c), throttle.Scope{Migration: "m"})
	until(t, a, throttle.Go, "")
	for range 3 { // the first reading knows no rate yet
		read := state(t, a, "wal_rate").Read
		db.Exec(t, writeWAL)
		reached(t, a, func(r throttle.Report) bool { return r.Signals[0].Read.After(read) })
	}
	until(t, a, throttle.Stop, "WAL rate is ")
}
