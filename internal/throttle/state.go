package throttle

import "time"

// State is one signal's part of a [Report].
type State struct {
	// Signal is its name, as in configurations; "custom:<name>" for a custom query.
	Signal string `json:"signal"`
	// Action and Duty are what it asks for by itself.
	Action Action  `json:"action"`
	Duty   float64 `json:"duty"`
	// Value is what was read last, and Limit what it is compared with, in
	// Unit; both 0 where there is nothing to compare, and before it was read.
	Value float64 `json:"value"`
	Limit float64 `json:"limit"`
	Unit  Unit    `json:"unit,omitempty"`
	// Reason says why not go.
	Reason string `json:"reason,omitempty"`
	// Since is when the action last changed.
	Since time.Time `json:"since"`
	// Read is when the value was read; zero for windows and the duty cycle,
	// which are not read, and before the first time.
	Read time.Time `json:"read,omitzero"`
	// Problem is why it cannot be read, with the way out; empty if it can.
	Problem string `json:"problem,omitempty"`
}

// Report is the verdict on one migration and how it came about.
type Report struct {
	Migration string  `json:"migration"`
	Verdict   Verdict `json:"verdict"`
	// Signals are those that are switched on, always in the same order.
	Signals []State `json:"signals"`
}

// tracked is what a migration remembers of a signal's last opinion.
type tracked struct {
	action Action
	since  time.Time
}

// bench collects the opinions on one migration.
type bench struct {
	now    time.Time
	before map[string]tracked
	after  map[string]tracked
	states []State
	worst  opinion
	signal string
}

func newBench(before map[string]tracked, now time.Time) *bench {
	return &bench{now: now, before: before, after: map[string]tracked{}, worst: going(0, 0, UnitNone)}
}

// view is what the signal sees of its own past.
func (b *bench) view(name string, v view) view {
	v.now, v.slow, v.stands = b.now, b.before[name].action != Go, b.before[name].action == Stop
	return v
}

func (b *bench) add(name string, o opinion, read time.Time, problem error) {
	since := b.now
	if before, ok := b.before[name]; ok && before.action == o.action {
		since = before.since
	}
	b.after[name] = tracked{o.action, since}
	state := State{
		Signal: name, Action: o.action, Duty: o.duty, Value: o.value, Limit: o.limit, Unit: o.unit,
		Reason: o.reason, Since: since, Read: read,
	}
	if problem != nil {
		state.Problem = problem.Error()
	}
	b.states = append(b.states, state)
	if o.worse(b.worst) {
		b.worst, b.signal = o, name
	}
}
