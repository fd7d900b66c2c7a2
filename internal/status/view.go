package status

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// View shows migrations as they get on. It is used by one goroutine.
type View interface {
	// Show takes what was seen now. A view that leaves something out for the
	// moment returns how long it wants to wait before it is shown the same
	// again; 0: not before something changes.
	Show(now time.Time, all []control.Progress) (again time.Duration, err error)
	// Write writes lines that are not about progress, between or above it.
	io.Writer
	// Close leaves the last state where it is.
	Close()
}

// NewView returns bars on a terminal and plain lines elsewhere. Times are given
// in loc. The view outlives ctx, whose end says that somebody may have typed Ctrl-C.
func NewView(ctx context.Context, s terminal.Screen, loc *time.Location) View {
	if s.Live {
		return &barView{bars: s.NewBars(ctx), moved: map[int32]movement{}}
	}
	return &lineView{Writer: s.Out, pace: pace{}, print: func(now time.Time, all []control.Progress, p *control.Progress) error {
		_, err := io.WriteString(s.Out, line(now.In(loc), all, p))
		return err
	}}
}

// NewJSONView returns a view that writes one JSON object a line, for every
// change, at most one a second for each migration.
func NewJSONView(out io.Writer) View {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return &lineView{Writer: io.Discard, pace: pace{}, print: func(_ time.Time, _ []control.Progress, p *control.Progress) error {
		return encoder.Encode(p)
	}}
}

// interval is the least time between two lines about one migration, except
// when its status has changed.
const interval = time.Second

// pace knows what was told last of each migration.
type pace map[int32]told

type told struct {
	at     time.Time
	status string
	keys   int64
	reason string
}

// due reports whether there is something new to tell now, or else in how long; 0: there is nothing.
func (k pace) due(now time.Time, p *control.Progress) (yes bool, in time.Duration) {
	last, before := k[p.ID]
	next := told{at: now, status: p.Status, keys: p.Keys, reason: Reason(p)}
	switch {
	case before && last.status == next.status && last.keys == next.keys && last.reason == next.reason:
		return false, 0
	case before && last.status == next.status && now.Sub(last.at) < interval:
		return false, interval - now.Sub(last.at)
	}
	k[p.ID] = next
	return true, 0
}

// lineView writes a line for a change.
type lineView struct {
	io.Writer

	pace  pace
	print func(now time.Time, all []control.Progress, p *control.Progress) error
}

func (v *lineView) Show(now time.Time, all []control.Progress) (again time.Duration, err error) {
	for i := range all {
		yes, in := v.pace.due(now, &all[i])
		if in > 0 && (again == 0 || in < again) {
			again = in
		}
		if !yes {
			continue
		}
		if err := v.print(now, all, &all[i]); err != nil {
			return 0, fmt.Errorf("write progress: %w", err)
		}
	}
	return again, nil
}

func (v *lineView) Close() {}

// line describes a migration on one line, its name as wide as the widest.
func line(now time.Time, all []control.Progress, p *control.Progress) string {
	width := 0
	for i := range all {
		width = max(width, terminal.Width(terminal.Clean(all[i].Name)))
	}
	parts := []string{now.Format(time.TimeOnly), padded(terminal.Clean(p.Name), width), fmt.Sprintf("%-9s", p.Status), fmt.Sprintf("%5s", percent(p))}
	if r := rows(p); r != "" {
		parts = append(parts, r+" rows")
	}
	for _, part := range []string{rate(p), left(p), size(p), terminal.Clean(Reason(p)), terminal.Clean(slowed(p))} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.TrimRight(strings.Join(parts, "  "), " ") + "\n"
}

func padded(text string, width int) string {
	return fmt.Sprintf("%s%*s", text, max(0, width-terminal.Width(text)), "")
}
