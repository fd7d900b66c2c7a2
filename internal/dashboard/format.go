package dashboard

import (
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// functions are what pages call.
func functions() template.FuncMap {
	return template.FuncMap{
		"count": count, "percent": percent, "share": share, "rate": rate, "left": left, "duration": seconds, "ms": millis,
		"stamp": stamp, "stampOf": stampOf, "text": text, "whole": whole, "join": strings.Join, "seg": url.PathEscape,
		"why": why, "tone": tone, "keys": keysOf, "compact": compact, "took": took, "known": known, "short": short,
		"listOf": listOf, "auditOf": auditOf, "settings": settings, "tabs": tabs,
	}
}

// count renders a number with its thousands apart.
func count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "\u202f" + digits[i:]
	}
	return sign + digits
}

// whole is count for a number that may not be known, of whatever type.
func whole(n any) string {
	switch n := n.(type) {
	case int:
		return count(int64(n))
	case int32:
		return count(int64(n))
	case int64:
		return count(n)
	case *int32:
		if n != nil {
			return count(int64(*n))
		}
	case *int64:
		if n != nil {
			return count(*n)
		}
	}
	return "–"
}

// known reports whether a migration's progress is more than a guess.
func known(p control.Progress) bool { return p.Total != nil || p.Status == control.StatusFinished }

func percent(p control.Progress) string {
	if !known(p) {
		return "–"
	}
	return strconv.FormatFloat(p.Percent, 'f', 1, 64) + "\u202f%"
}

// share is how far a migration is, for its bar.
func share(p control.Progress) string { return strconv.FormatFloat(p.Percent, 'f', 1, 64) }

func rate(p control.Progress) string {
	if p.KeysPerSecond == nil {
		return ""
	}
	if speed := *p.KeysPerSecond; speed < 10 {
		return strconv.FormatFloat(speed, 'f', 1, 64) + "/s"
	}
	return count(int64(math.Round(*p.KeysPerSecond))) + "/s"
}

// left says how long a migration takes yet, has taken, or why that is not known.
func left(p control.Progress) string {
	switch {
	case p.Status == control.StatusFinished && p.SecondsElapsed != nil:
		return "took " + seconds(*p.SecondsElapsed)
	case p.Pace == control.PaceMeasuring:
		return "no rate yet"
	case p.Pace == control.PaceVerifying || p.Pace == control.PaceRetrying:
		return string(p.Pace)
	case p.Pace != control.PaceMoving:
		return ""
	case p.SecondsLeft == nil:
		return "no estimate"
	default:
		return seconds(*p.SecondsLeft) + " left"
	}
}

// seconds renders a span with its two greatest units.
func seconds(s float64) string {
	switch d := time.Duration(s * float64(time.Second)); {
	case d < time.Second:
		return "<1 s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%d d %d h", int(d.Hours())/24, int(d.Hours())%24)
	}
}

func millis(ms *float64) string {
	switch {
	case ms == nil:
		return "–"
	case *ms >= 10_000:
		return seconds(*ms / 1000)
	case *ms >= 100:
		return count(int64(math.Round(*ms))) + " ms"
	default:
		return strconv.FormatFloat(*ms, 'f', 1, 64) + " ms"
	}
}

// took is how long something took that has ended.
func took(from time.Time, to *time.Time) string {
	if to == nil {
		return ""
	}
	return seconds(to.Sub(from).Seconds())
}

// stamp renders a time for people; pages say that all times are UTC.
func stamp(t time.Time) template.HTML {
	utc := t.UTC()
	return template.HTML(`<time datetime="` + utc.Format(time.RFC3339) + `">` + utc.Format("2006-01-02 15:04:05") + `</time>`) //nolint:gosec // digits
}

func stampOf(t *time.Time) template.HTML {
	if t == nil {
		return "–"
	}
	return stamp(*t)
}

// text is a text that may not be there.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// short is what of a digest people tell them apart by.
func short(digest string) string {
	digest = strings.TrimPrefix(digest, "sha256:")
	return digest[:min(len(digest), 12)]
}

// why says why a migration does not move.
func why(p control.Progress) string {
	switch {
	case p.Status == control.StatusFailed && p.Error != nil:
		return text(p.Error)
	case p.Reason != nil:
		return *p.Reason
	case p.Throttled != nil && (p.Pace == control.PaceMoving || p.Pace == control.PaceMeasuring):
		return "throttled: " + *p.Throttled
	default:
		return ""
	}
}

// tone is how bad the reason of a migration is.
func tone(p control.Progress) string {
	switch p.Status {
	case control.StatusFailed:
		return "bad"
	case control.StatusRunning, control.StatusActive:
		return "warn"
	default:
		return "quiet"
	}
}

// keysOf describes the range of a job.
func keysOf(j control.JobState) string {
	switch {
	case j.After != nil:
		return "after " + *j.After + " to " + j.Max
	case j.Min != nil:
		return *j.Min + " to " + j.Max
	default:
		return "to " + j.Max
	}
}

// compact is JSON on one line; empty where it says nothing.
func compact(raw json.RawMessage) string {
	value := strings.TrimSpace(string(raw))
	if value == "null" || value == "{}" {
		return ""
	}
	return value
}
