package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// quantile returns the value below which a share q of the values lies, between
// two of them where it falls there. It is NaN when there are none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	place := q * float64(len(sorted)-1)
	low := int(place)
	if low+1 == len(sorted) {
		return sorted[low]
	}
	part := place - float64(low)
	return sorted[low]*(1-part) + sorted[low+1]*part
}

// shuffled returns the numbers below n in random order.
func shuffled(n int) []int {
	return rand.Perm(n) //nolint:gosec // not a secret
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// uncertainty is the standard error of the median, by the spread of the middle
// half, which outliers do not move.
func uncertainty(values []float64) float64 {
	if len(values) < 2 {
		return 0
	}
	deviation := (quantile(values, 0.75) - quantile(values, 0.25)) / 1.349
	return 1.253 * deviation / math.Sqrt(float64(len(values)))
}

func microseconds(all []time.Duration) []float64 {
	values := make([]float64, len(all))
	for i, d := range all {
		values[i] = float64(d.Nanoseconds()) / 1000
	}
	return values
}

// Verdict says whether a figure reaches its target.
type Verdict string

// The verdicts.
const (
	Reached Verdict = "reached"
	// Unclear: below the target by less than the noise of the same run.
	Unclear Verdict = "within noise"
	Missed  Verdict = "missed"
	// Void: the two controls differ so much that nothing can be said.
	Void Verdict = "void"
	// Shown: there is no target.
	Shown Verdict = "-"
)

// mostNoise is the distance between equals from which on a measurement says nothing.
const mostNoise = 0.05

// judgeAtLeast gives the verdict on a ratio that should be at least target, beside
// equals that came out as control, with an uncertainty of its own.
func judgeAtLeast(ratio, target, control, own float64) Verdict {
	noise := math.Abs(control - 1)
	switch {
	case target == 0:
		return Shown
	case math.IsNaN(ratio) || noise > mostNoise:
		return Void
	case ratio >= target:
		return Reached
	case ratio >= target-max(noise, own):
		return Unclear
	default:
		return Missed
	}
}

// judgeAtMost gives the verdict on a figure that should be at most target, and is
// known up to noise.
func judgeAtMost(value, target, noise float64) Verdict {
	switch {
	case math.IsNaN(value):
		return Void
	case value <= target:
		return Reached
	case value <= target+noise:
		return Unclear
	default:
		return Missed
	}
}
