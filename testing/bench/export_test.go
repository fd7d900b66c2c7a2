package bench

import (
	"context"
	"time"
)

// What the tests look at from inside.
var (
	NewDatabase  = newDatabase
	RunSQL       = (*database).run
	Fill         = (*database).fill
	Batches      = (*database).batches
	CheckOnce    = (*database).checkOnce
	CheckChain   = (*database).checkChain
	Close        = (*database).close
	JudgeAtLeast = judgeAtLeast
	JudgeAtMost  = judgeAtMost
	Quantile     = quantile
	StartPeer    = startPeer
	ClosePeer    = (*peer).close
)

// The kinds of keys.
const (
	Bigints = bigints
	UUIDs   = uuids
)

// Slice is a part of the table.
type Slice = slice

// NewSlice returns a slice of these batches.
func NewSlice(batches []batch, size int) Slice { return slice{batches: batches, size: size} }

// Last returns the last key of a slice.
func (s Slice) Last() string { return s.last() }

// NewResult returns the result of rounds in which the two bare loops and one Work took so long
// for ten rows each.
func NewResult(target float64, rounds ...[3]time.Duration) *Report {
	r := &result{throughputCase: throughputCase{name: "a case"}, variants: []variant{{name: "bare"}, {name: "bare again"}, {name: "Work", target: target}}}
	for _, round := range rounds {
		var samples []sample
		for _, wall := range round {
			samples = append(samples, sample{timing: timing{wall: wall}, running: wall / 2, rows: 10, batches: 1, used: meter{cpu: int64(wall), wal: 100, written: 1}})
		}
		r.samples = append(r.samples, samples)
	}
	return &Report{throughput: []*result{r}}
}

// PeerNote returns how a peer says that it is set up.
func PeerNote(p *peer) string { return p.name + ": " + p.settings }

// Ask sends a peer a request.
func Ask(p *peer, ctx context.Context, do string) (took time.Duration, jobs int, err error) { //nolint:revive // as a method of the peer
	a, err := p.ask(ctx, peerRequest{Do: do})
	return a.Took, a.Jobs, err
}
