package throttle

import (
	"math"
	"time"
)

// Action is what a worker does before its next batch.
type Action uint8

// The actions, the worse the greater.
const (
	// Go works without a rest.
	Go Action = iota
	// Slow works a share of the time, the duty, and rests after each batch.
	Slow
	// Stop starts no further batch.
	Stop
)

// String returns "go", "slow" or "stop".
func (a Action) String() string {
	switch a {
	case Go:
		return "go"
	case Slow:
		return "slow"
	default:
		return "stop"
	}
}

// MarshalText is String, for JSON.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Verdict is what all signals together say of one migration.
type Verdict struct {
	// Action is the worst that any signal says.
	Action Action `json:"action"`
	// Duty is the share of the time to work: 1 for go, 0 for stop, between
	// them for slow.
	Duty float64 `json:"duty"`
	// Signal is the one that decided, as in [State]; empty for go, and before
	// anything was read.
	Signal string `json:"signal,omitempty"`
	// Reason says in words why not go: what was compared with which limit.
	Reason string `json:"reason,omitempty"`
	// Since is when the action last changed.
	Since time.Time `json:"since"`
	// Until is when a stop changes that the clock alone decides: a time window
	// opens, an override expires. Zero where that is not known.
	Until time.Time `json:"until,omitzero"`
}

// longestRest bounds a rest: the sessions of a worker must not look abandoned.
const longestRest = 30 * time.Second

// Rest returns how long to rest after work of the given length, so that work
// has the share of the time that the duty says; at most 30 seconds. It is 0 for
// go. For stop it is the bound; see [Activity.Rest].
func (v Verdict) Rest(worked time.Duration) time.Duration {
	if v.Duty >= 1 || worked <= 0 && v.Action != Stop {
		return 0
	}
	rest := float64(worked) * (1 - v.Duty) / v.Duty
	if math.IsNaN(rest) || rest > float64(longestRest) {
		return longestRest
	}
	return time.Duration(rest)
}

// opinion is what one signal says of one migration.
type opinion struct {
	action Action
	duty   float64
	value  float64
	limit  float64
	unit   Unit
	reason string
	until  time.Time
}

// going says go. Value and limit are what was compared, for people who look.
func going(value, limit float64, unit Unit) opinion {
	return opinion{action: Go, duty: 1, value: value, limit: limit, unit: unit}
}

// because turns an opinion into one that slows down to the duty, or stops
// where that is 0.
func (o opinion) because(duty float64, reason string) opinion {
	o.duty, o.reason = duty, reason
	o.action = Slow
	if duty <= 0 {
		o.action, o.duty = Stop, 0
	}
	return o
}

// worse reports whether o asks for less work than other.
func (o opinion) worse(other opinion) bool {
	if o.action != other.action {
		return o.action > other.action
	}
	return o.duty < other.duty
}

// tooMuch compares with a limit. A stop that stands lifts only at the lower
// mark, a part of the limit; a limit of 0 is never exceeded.
func tooMuch(value, limit, lower float64, stands bool) bool {
	if limit <= 0 {
		return false
	}
	if stands {
		return value >= limit*lower
	}
	return value > limit
}
