package throttle

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Fake stands for the server: what each signal, by its name, reads now, and
// what custom queries return.
type Fake struct {
	// Read returns the answers, in the order of the signals.
	Read func(ctx context.Context, signals []string) ([][]byte, error)
	// Custom returns a bool, a float64, a string, or nil for NULL.
	Custom func(ctx context.Context, sql string) (any, error)
}

// NewFake returns a sampler that reads from a fake.
func NewFake(o Options, f *Fake) *Sampler { return newSampler(o, f) }

func (f *Fake) read(ctx context.Context, queries []string, _ pgx.NamedArgs) ([][]byte, error) {
	var names []string
	for _, query := range queries {
		for _, s := range allSignals() {
			if s.query() == query {
				names = append(names, s.name())
			}
		}
	}
	return f.Read(ctx, names)
}

func (f *Fake) custom(ctx context.Context, key customKey) (answer, error) {
	value, err := f.Custom(ctx, key.sql)
	if err != nil {
		return answer{}, err
	}
	return toAnswer(value, false)
}

// SignalNames are those of the signals that are read from the server.
func SignalNames() []string {
	var names []string
	for _, s := range allSignals() {
		names = append(names, s.name())
	}
	return slices.Clip(names)
}

// History is the history of the server's positions.
type History = history

// Inside views of functions.
var (
	SegmentNumber = segmentNumber
	Span          = span
)

// Add is the history's.
func (h *History) Add(position int64, at time.Time) { h.add(position, at) }

// Since is the history's.
func (h *History) Since(position int64, now time.Time) time.Duration { return h.since(position, now) }
