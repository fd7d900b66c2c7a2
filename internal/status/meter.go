package status

import (
	"time"

	"github.com/bbmd-dev/bbmd/internal/control"
)

const (
	meterWindow = 8 * time.Second
	// meterLeast is the shortest span that a speed is measured over: progress is
	// counted once a second.
	meterLeast = 2500 * time.Millisecond
)

// meter measures speeds between the looks of one who follows, which says more of
// the moment than what the database can tell a single look.
type meter struct {
	samples map[int32][]sample
}

type sample struct {
	at   time.Time
	keys int64
}

// measure puts the speed of late into p, and when the rest is done at that speed.
func (m *meter) measure(now time.Time, p *control.Progress) {
	if m.samples == nil {
		m.samples = map[int32][]sample{}
	}
	if p.Pace != control.PaceMoving && p.Pace != control.PaceMeasuring {
		delete(m.samples, p.ID)
		return
	}
	all := m.samples[p.ID]
	if len(all) == 0 || all[len(all)-1].keys != p.Keys {
		all = append(all, sample{at: now, keys: p.Keys})
	}
	for len(all) > 2 && now.Sub(all[0].at) > meterWindow {
		all = all[1:]
	}
	m.samples[p.ID] = all
	first, last := all[0], all[len(all)-1]
	if last.at.Sub(first.at) < meterLeast {
		return
	}
	speed := float64(last.keys-first.keys) / last.at.Sub(first.at).Seconds()
	p.Move(&speed)
}
