package control

import "time"

// Pace says how a migration gets on, and so what is to be thought of its speed
// and of the time that it has left.
type Pace string

// The paces. The reason of one that does not move is [Progress.Reason].
const (
	PaceMoving    Pace = "moving"    // there is a speed, and the time left where the total is known
	PaceMeasuring Pace = "measuring" // it runs, and nobody knows yet how fast
	PaceHeld      Pace = "held"      // it runs, and nothing moves: the throttle, a retry, a lock
	PaceRetrying  Pace = "retrying"  // every batch was tried, and those that failed are tried again
	PaceVerifying Pace = "verifying" // every batch is done, and the ranges are looked at again
	PaceWaiting   Pace = "waiting"   // it is active: for its turn, its window, another migration, a daemon
	PacePaused    Pace = "paused"    // until somebody resumes it
	PaceOver      Pace = "over"      // finished, failed or cancelled
)

// judge works out the pace, and when the migration is done. It expects the pace
// to be [PaceVerifying], [PaceRetrying] or empty.
func (p *Progress) judge() {
	end := p.Pace
	switch {
	case p.Over():
		p.Pace = PaceOver
	case p.Status == StatusPaused:
		p.Pace = PacePaused
	case p.Status == StatusActive:
		p.Pace = PaceWaiting
	case p.Reason != nil:
		p.Pace = PaceHeld
	case end != "":
		p.Pace = end
	default:
		p.Pace = PaceMeasuring
		if p.KeysPerSecond == nil {
			p.KeysPerSecond = p.average()
		}
		p.Move(p.KeysPerSecond)
		return
	}
	p.KeysPerSecond, p.SecondsLeft = nil, nil
}

// average is the speed since the start of a migration that was never
// interrupted: where batches are long it is a while until two of them were counted.
func (p *Progress) average() *float64 {
	if p.StartedAt == nil || p.Since.Sub(*p.StartedAt) > time.Second || p.SecondsElapsed == nil || *p.SecondsElapsed <= 0 || p.Keys <= 0 {
		return nil
	}
	speed := float64(p.Keys) / *p.SecondsElapsed
	return &speed
}

// Move sets the speed of a migration that is measured or moves, and works out
// how long the rest takes. Nil: it is not known. For any other it does nothing.
func (p *Progress) Move(keysPerSecond *float64) {
	if p.Pace != PaceMeasuring && p.Pace != PaceMoving {
		return
	}
	p.Pace, p.KeysPerSecond, p.SecondsLeft = PaceMeasuring, keysPerSecond, nil
	if keysPerSecond == nil {
		return
	}
	p.Pace = PaceMoving
	if p.Total != nil && *p.Total > p.Keys && *keysPerSecond > 0 {
		left := float64(*p.Total-p.Keys) / *keysPerSecond
		p.SecondsLeft = &left
	}
}
