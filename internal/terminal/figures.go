package terminal

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Count returns a number with its thousands apart: 1,234,567.
func Count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return sign + digits
}

// Rate returns a speed per second in about three digits: 950/s, 9.5k/s, 1.2M/s.
func Rate(perSecond float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		switch value := perSecond / unit.size; {
		case value >= 99.95:
			return fmt.Sprintf("%.0f%s/s", value, unit.name)
		case value >= 0.9995:
			return fmt.Sprintf("%.1f%s/s", value, unit.name)
		}
	}
	if perSecond > 0 && perSecond < 9.95 {
		return fmt.Sprintf("%.1f/s", perSecond)
	}
	return fmt.Sprintf("%.0f/s", perSecond)
}

// Percent returns a share of a hundred, rounded down so that only all of it is 100%.
func Percent(percent float64) string {
	if percent >= 100 {
		return "100%"
	}
	return fmt.Sprintf("%.1f%%", math.Floor(max(0, percent)*10+1e-9)/10)
}

// Duration returns a span of time as people say it, in its two greatest
// units: 12ms, 0.4s, 12s, 3m 20s, 2h 05m, 4d 7h.
func Duration(d time.Duration) string {
	switch d = max(d, 0); {
	case d > 0 && d < 99500*time.Microsecond:
		return fmt.Sprintf("%.0fms", max(1, float64(d)/float64(time.Millisecond)))
	case d < 9950*time.Millisecond:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute-500*time.Millisecond:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d < time.Hour-500*time.Millisecond:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm %02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour-30*time.Second:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%dh %02dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		d = d.Round(time.Hour)
		return fmt.Sprintf("%dd %dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	}
}

// Seconds is [Duration] of a number of seconds. More than a thousand years are as good as never.
func Seconds(seconds float64) string {
	const millennium = 1000 * 365 * 24 * 3600
	if math.IsNaN(seconds) || seconds > millennium {
		return "∞"
	}
	if seconds > math.MaxInt64/float64(time.Second) {
		return fmt.Sprintf("%.0fy", seconds/(365*24*3600))
	}
	return Duration(time.Duration(seconds * float64(time.Second)))
}

// Bytes returns a size in two or three digits, in powers of 1024: 980 B,
// 1.2 kB, 48 MB, 1.5 GB.
func Bytes(n int64) string {
	value := float64(n)
	if math.Abs(value) < 999.5 {
		return fmt.Sprintf("%d B", n)
	}
	for _, unit := range []string{"kB", "MB", "GB", "TB", "PB"} {
		value /= 1024
		switch size := math.Abs(value); {
		case size < 9.95:
			return fmt.Sprintf("%.1f %s", value, unit)
		case size < 999.5 || unit == "PB":
			return fmt.Sprintf("%.0f %s", value, unit)
		}
	}
	return ""
}
