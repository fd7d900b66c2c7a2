package status

import (
	"time"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// barView is bars that are redrawn in place.
type barView struct {
	bars  *terminal.Bars
	moved map[int32]movement
}

// movement is when a migration was seen to move for the last time.
type movement struct {
	at   time.Time
	keys int64
}

func (v *barView) Show(now time.Time, all []control.Progress) (time.Duration, error) {
	for i := range all {
		p := &all[i]
		if last, ok := v.moved[p.ID]; !ok || last.keys != p.Keys || p.Status != control.StatusRunning {
			v.moved[p.ID] = movement{at: now, keys: p.Keys}
		}
		v.bars.Set(bar(p, v.moved[p.ID].at))
	}
	return 0, nil
}

func (v *barView) Write(text []byte) (int, error) { return v.bars.Write(text) }

func (v *barView) Close() { v.bars.Close() }

// bar draws a migration.
func bar(p *control.Progress, moved time.Time) terminal.Bar {
	style := styleOf(p.Status)
	b := terminal.Bar{Name: p.Name, Style: style, Share: p.Percent / 100}
	if p.Status == control.StatusRunning {
		b.Moved = moved
	}
	if p.StartedAt != nil && p.Total == nil && p.Status != control.StatusFinished {
		b.Share = -1
	}
	b.Facts = []terminal.Cell{{Text: percent(p), Style: style}}
	if p.Status == control.StatusRunning {
		b.Facts = append(b.Facts, terminal.Cell{Text: rate(p)}, terminal.Cell{Text: left(p)}, terminal.Cell{Text: rows(p), Style: terminal.Dim}, terminal.Cell{Text: size(p), Style: terminal.Dim})
	} else {
		b.Facts = append(b.Facts, terminal.Cell{Text: p.Status, Style: style}, terminal.Cell{Text: left(p) + age(p)}, terminal.Cell{Text: rows(p), Style: terminal.Dim})
	}
	notes(p, func(style terminal.Style, text string) {
		if b.Note.Text == "" {
			b.Note = terminal.Cell{Text: text, Style: style}
		}
	})
	return b
}
