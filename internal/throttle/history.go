package throttle

import (
	"slices"
	"time"
)

// history remembers when the server's WAL was where, to turn a standby's
// position into its lag in time. PostgreSQL's own replay_lag keeps its last
// value while replay is paused or delayed, so that it is small just when it
// should not be.
type history struct {
	points []point // one per second at most, positions and times ascending
}

type point struct {
	position int64
	at       time.Time
}

const (
	historyEvery  = time.Second
	historyLength = 3600
)

func (h *history) add(position int64, at time.Time) {
	if n := len(h.points); n > 0 {
		last := h.points[n-1]
		switch {
		case position < last.position || at.Before(last.at):
			h.points = nil // another server, or another clock
		case position == last.position || at.Sub(last.at) < historyEvery:
			return
		}
	}
	if len(h.points) == historyLength {
		h.points = slices.Delete(h.points, 0, historyLength/10)
	}
	h.points = append(h.points, point{position, at})
}

// since returns for how long, at least, the server's WAL has been beyond a position.
func (h *history) since(position int64, now time.Time) time.Duration {
	i, _ := slices.BinarySearchFunc(h.points, position, func(p point, position int64) int {
		if p.position <= position {
			return -1
		}
		return 1
	})
	if i == len(h.points) {
		return 0
	}
	return max(0, now.Sub(h.points[i].at))
}
