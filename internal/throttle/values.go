package throttle

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Mode says whether a signal is read, and what it means that it cannot be seen.
type Mode string

// The modes of a signal.
const (
	// Auto reads it. Where the server does not show it to the role, or does
	// not have it, work goes on slowly, at [Config.HiddenDuty].
	Auto Mode = "auto"
	// On reads it, and stops work where it cannot be seen.
	On Mode = "on"
	// Off does not read it.
	Off Mode = "off"
)

// UnmarshalText accepts auto, on and off, and true and false for the latter two.
func (m *Mode) UnmarshalText(text []byte) error {
	switch value := strings.ToLower(string(text)); value {
	case "auto", "on", "off":
		*m = Mode(value)
	case "true":
		*m = On
	case "false":
		*m = Off
	default:
		return fmt.Errorf("%q is not auto, on or off", text)
	}
	return nil
}

// UnmarshalJSON accepts what UnmarshalText does, and JSON's own true and false.
func (m *Mode) UnmarshalJSON(data []byte) error { return scalar(data, m.UnmarshalText) }

// Bytes is an amount of data. In text it is a number with one of PostgreSQL's
// units, whose steps are 1024: "32MB", "1.5 GB", "512kB", or a number of bytes.
type Bytes int64

// bytesUnits are PostgreSQL's, the largest first.
func bytesUnits() []string { return []string{"TB", "GB", "MB", "kB", "B"} }

// UnmarshalText parses an amount, which is not negative.
func (b *Bytes) UnmarshalText(text []byte) error {
	number, factor := strings.TrimSpace(string(text)), 1.0
	for i, unit := range bytesUnits() {
		for _, suffix := range []string{unit, unit[:1] + "iB"} {
			if rest, ok := cutSuffixFold(number, suffix); ok && factor == 1 {
				number, factor = strings.TrimSpace(rest), math.Pow(1024, float64(4-i))
			}
		}
	}
	value, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(value) || value < 0 || value*factor >= math.MaxInt64 {
		return fmt.Errorf("%q is not an amount of data such as 32MB", text)
	}
	*b = Bytes(math.Round(value * factor))
	return nil
}

func cutSuffixFold(s, suffix string) (string, bool) {
	if len(s) < len(suffix) || !strings.EqualFold(s[len(s)-len(suffix):], suffix) {
		return s, false
	}
	return s[:len(s)-len(suffix)], true
}

// UnmarshalJSON accepts what UnmarshalText does, and a number of bytes.
func (b *Bytes) UnmarshalJSON(data []byte) error { return scalar(data, b.UnmarshalText) }

// MarshalText writes the amount exactly, in the largest unit that divides it.
func (b Bytes) MarshalText() ([]byte, error) {
	for i, unit := range bytesUnits() {
		step := int64(1) << (10 * (4 - i))
		if b != 0 && int64(b)%step == 0 {
			return fmt.Appendf(nil, "%d%s", int64(b)/step, unit), nil
		}
	}
	return []byte("0"), nil
}

// String writes the amount for people, rounded: "48 MB".
func (b Bytes) String() string {
	value, units := float64(b), bytesUnits()
	unit := len(units) - 1
	for unit > 0 && value >= 1023.95 {
		value, unit = value/1024, unit-1
	}
	return decimal(value) + " " + units[unit]
}

// Duration is a time.Duration that is written as one, "15s", in configurations.
type Duration time.Duration

// UnmarshalText parses a duration with its unit.
func (d *Duration) UnmarshalText(text []byte) error {
	value, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 15s or 5m", text)
	}
	*d = Duration(value)
	return nil
}

// UnmarshalJSON accepts what UnmarshalText does.
func (d *Duration) UnmarshalJSON(data []byte) error { return scalar(data, d.UnmarshalText) }

// MarshalText writes the duration exactly.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// String writes the duration for people, rounded: "12 s", "3 min 20 s".
func (d Duration) String() string { return span(time.Duration(d)) }

// Share is a part of a whole, from 0 to 1. In text it is a number, or a percentage.
type Share float64

// UnmarshalText parses "0.3" or "30%".
func (s *Share) UnmarshalText(text []byte) error {
	number, percent := strings.CutSuffix(strings.TrimSpace(string(text)), "%")
	value, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		value /= 100
	}
	if err != nil || !(value >= 0 && value <= 1) {
		return fmt.Errorf("%q is not a share from 0 to 1 (0%% to 100%%)", text)
	}
	*s = Share(value)
	return nil
}

// UnmarshalJSON accepts what UnmarshalText does, and a number.
func (s *Share) UnmarshalJSON(data []byte) error { return scalar(data, s.UnmarshalText) }

// MarshalJSON writes a number.
func (s Share) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(s), 'g', -1, 64), nil
}

// String writes the share for people: "30 %".
func (s Share) String() string { return decimal(float64(s)*100) + " %" }

// scalar hands the text of a JSON scalar to a parser.
func scalar(data []byte, parse func([]byte) error) error {
	text := string(data)
	switch {
	case strings.HasPrefix(text, `"`):
		unquoted, err := unquoteJSON(data)
		if err != nil {
			return err
		}
		text = unquoted
	case text == "null":
		return nil
	case strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["):
		return errors.New("is not a single value")
	}
	return parse([]byte(text))
}
