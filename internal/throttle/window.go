package throttle

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Window is a span of wall-clock time that recurs on days of the week, in a
// time zone. It is parsed by [ParseWindow]; the zero Window is invalid.
//
// It follows the clock on the wall: where summer time begins or ends, a night
// is an hour shorter or longer, an hour that is skipped is not worked, and an
// hour that comes twice is worked twice.
type Window struct {
	days     [7]bool // on which it opens, by time.Weekday
	from, to int     // minutes of the day; to is at most from where it ends on the next day
	location *time.Location
	zone     string
}

const minutesPerDay = 24 * 60

// overnight reports whether the window ends on the day after it opened.
func (w Window) overnight() bool { return w.to <= w.from }

// Contains reports whether the window is open.
func (w Window) Contains(t time.Time) bool {
	local := t.In(w.location)
	minute := local.Hour()*60 + local.Minute()
	today := local.Weekday()
	if !w.overnight() {
		return w.days[today] && minute >= w.from && minute < w.to
	}
	yesterday := (today + 6) % 7
	return w.days[today] && minute >= w.from || w.days[yesterday] && minute < w.to
}

// Opens returns the first moment at or after t at which the window is open;
// zero if there is none, as for a window that lies in an hour that summer time
// skips, within the next ten days.
func (w Window) Opens(t time.Time) time.Time {
	if w.Contains(t) {
		return t
	}
	const horizon = 10 * 24 * time.Hour
	for at := t; at.Sub(t) < horizon; {
		// Within the bounds of a zone the wall clock runs evenly; a window may
		// open at its hour, or with the jump at the bound.
		_, end := at.In(w.location).ZoneBounds()
		if opens := w.opensEvenly(at); !opens.IsZero() && (end.IsZero() || opens.Before(end)) {
			return opens
		}
		if end.IsZero() {
			break
		}
		if at = end; w.Contains(at) {
			return at
		}
	}
	return time.Time{}
}

// opensEvenly is Opens as if the zone's offset at t held for ever.
func (w Window) opensEvenly(t time.Time) time.Time {
	local := t.In(w.location)
	_, offset := local.Zone()
	fixed := time.FixedZone("", offset)
	for day := range 8 {
		opens := time.Date(local.Year(), local.Month(), local.Day()+day, 0, w.from, 0, 0, fixed)
		if w.days[opens.Weekday()] && opens.After(t) {
			return opens.In(w.location)
		}
	}
	return time.Time{}
}

// String writes the window as it is parsed.
func (w Window) String() string {
	var parts []string
	if days := w.dayText(); days != "" {
		parts = append(parts, days)
	}
	parts = append(parts, fmt.Sprintf("%02d:%02d-%02d:%02d", w.from/60, w.from%60, w.to/60, w.to%60), w.zone)
	return strings.Join(parts, " ")
}

// dayText writes the days as ranges, beginning with Monday; all are "".
func (w Window) dayText() string {
	if w.days == [7]bool{true, true, true, true, true, true, true} {
		return ""
	}
	var ranges []string
	week := weekdays()
	for first := 0; first < len(week); first++ {
		if !w.days[week[first]] {
			continue
		}
		last := first
		for last+1 < len(week) && w.days[week[last+1]] {
			last++
		}
		switch last - first {
		case 0:
			ranges = append(ranges, short(week[first]))
		case 1:
			ranges = append(ranges, short(week[first]), short(week[last]))
		default:
			ranges = append(ranges, short(week[first])+"-"+short(week[last]))
		}
		first = last
	}
	return strings.Join(ranges, ",")
}

func weekdays() []time.Weekday {
	return []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday, time.Saturday, time.Sunday}
}

func short(day time.Weekday) string { return day.String()[:3] }

// MarshalText is String.
func (w Window) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText is [ParseWindow].
func (w *Window) UnmarshalText(text []byte) (err error) {
	*w, err = ParseWindow(string(text))
	return err
}

// windowsOpinion stops outside of all windows.
func windowsOpinion(windows []Window, now time.Time) opinion {
	var opens time.Time
	for _, w := range windows {
		if w.location == nil {
			continue // not valid, and refused before
		}
		next := w.Opens(now)
		if next.Equal(now) {
			return going(0, 0, UnitNone)
		}
		if opens.IsZero() || !next.IsZero() && next.Before(opens) {
			opens = next
		}
	}
	texts := make([]string, len(windows))
	for i, w := range windows {
		texts[i] = w.String()
	}
	reason := "outside of the time windows (" + strings.Join(slices.Compact(texts), "; ") + ")"
	if !opens.IsZero() {
		reason += fmt.Sprintf(": the next opens at %s, in %s", opens.Format("Mon 2006-01-02 15:04 MST"), span(opens.Sub(now)))
	}
	o := going(0, 0, UnitNone).because(0, reason)
	o.until = opens
	return o
}
