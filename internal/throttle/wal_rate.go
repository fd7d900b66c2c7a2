package throttle

import (
	"encoding/json"
	"fmt"
	"time"
)

// walRate is how much WAL the whole server writes in a second, smoothed. It is
// part of a loop, as much of it may be ours, so it slows down step by step
// from half of the limit on, and settles where both are content.
type walRate struct {
	position int64
	at       time.Time
	rate     smooth
}

const walRateSmoothing = 5 * time.Second

func newWALRate() *walRate { return &walRate{rate: smooth{constant: walRateSmoothing}} }

func (*walRate) name() string { return "wal_rate" }

// mode is on with a limit: whoever has set one relies on it.
func (*walRate) mode(c *Config) Mode {
	if c.WALRate.PerSecond > 0 {
		return On
	}
	return Off
}

func (*walRate) every() time.Duration { return time.Second }

func (*walRate) query() string {
	return `(SELECT to_json(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint))`
}

func (w *walRate) observe(answer []byte, at time.Time) error {
	var position int64
	if err := json.Unmarshal(answer, &position); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	elapsed := at.Sub(w.at)
	if !w.at.IsZero() && elapsed > 0 && position >= w.position {
		w.rate.add(float64(position-w.position)/elapsed.Seconds(), at)
	}
	w.position, w.at = position, at
	return nil
}

// slowsFrom is the part of the limit from which it slows down.
const slowsFrom = 0.5

func (w *walRate) judge(c *Config, v view) opinion {
	limit := float64(c.WALRate.PerSecond)
	o := going(w.rate.value, limit, UnitBytesPerSecond)
	if tooMuch(o.value, limit, float64(c.Resume), v.stands) {
		return o.because(0, exceeded("WAL rate", o.value, limit, float64(c.Resume), UnitBytesPerSecond))
	}
	duty := (limit - o.value) / (limit * (1 - slowsFrom))
	if duty >= 1 {
		return o
	}
	const least = 0.02 // the rest of the way is the stop's
	return o.because(max(duty, least), fmt.Sprintf("WAL rate is %s, more than half of %s: work %s of the time",
		UnitBytesPerSecond.Text(o.value), UnitBytesPerSecond.Text(limit), Share(duty)))
}
