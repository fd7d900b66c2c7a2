package throttle

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Unit is what the value and the limit of a [State] are counted in.
type Unit string

// The units.
const (
	UnitNone           Unit = ""
	UnitBytes          Unit = "bytes"
	UnitBytesPerSecond Unit = "bytes/s"
	UnitSeconds        Unit = "seconds"
	UnitCores          Unit = "cores"
	UnitSessions       Unit = "sessions"
	UnitSegments       Unit = "segments"
	UnitTransactions   Unit = "transactions"
	UnitShare          Unit = "share"
)

// Text writes a value of this unit for people: "48 MB", "12 s".
func (u Unit) Text(value float64) string {
	switch u {
	case UnitBytes:
		return Bytes(value).String()
	case UnitBytesPerSecond:
		return Bytes(value).String() + "/s"
	case UnitSeconds:
		return span(seconds(value))
	case UnitShare:
		return Share(value).String()
	case UnitNone:
		return decimal(value)
	default:
		return decimal(value) + " " + string(u)
	}
}

// exceeded says that something is more than its limit, or that it still has to
// fall below the lower mark.
func exceeded(what string, value, limit, lower float64, unit Unit) string {
	if value > limit {
		return fmt.Sprintf("%s is %s, more than %s", what, unit.Text(value), unit.Text(limit))
	}
	return fmt.Sprintf("%s is %s, not yet less than %s (the limit is %s)", what, unit.Text(value), unit.Text(limit*lower), unit.Text(limit))
}

// seconds is a time.Duration from a number of seconds.
func seconds(n float64) time.Duration {
	if n >= math.MaxInt64/float64(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(n * float64(time.Second))
}

// span writes a duration in its two largest units: "1.4 s", "12 s", "3 min 20 s", "2 d 4 h".
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + span(-max(d, -math.MaxInt64))
	case d == 0:
		return "0 s"
	case d < time.Second:
		return decimal(float64(d)/float64(time.Millisecond)) + " ms"
	case d < 10*time.Second:
		return decimal(d.Seconds()) + " s"
	}
	d = d.Round(time.Second)
	var parts []string
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		n := d / unit.length
		if n == 0 && len(parts) == 0 {
			continue
		}
		if n == 0 {
			break
		}
		parts = append(parts, fmt.Sprintf("%d %s", n, unit.name))
		if d %= unit.length; len(parts) == 2 {
			break
		}
	}
	return strings.Join(parts, " ")
}

// decimal writes a number with at most one digit behind the point, small ones with two.
func decimal(value float64) string {
	digits := 10.0
	if math.Abs(value) < 1 {
		digits = 100
	}
	return strconv.FormatFloat(math.Round(value*digits)/digits, 'f', -1, 64)
}

// count writes a number of things: "1 session", "2 sessions".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func unquoteJSON(data []byte) (string, error) {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return "", fmt.Errorf("read JSON: %w", err)
	}
	return text, nil
}
