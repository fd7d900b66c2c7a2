package daemon

import (
	"sync"
	"time"
)

// longOutage is how long no events may arrive before somebody has to look.
const longOutage = 5 * time.Minute

// outage tells once of every outage that lasts. It asks nobody: it is told when
// an outage begins and when it is over.
type outage struct {
	after time.Duration
	tell  func(lasted time.Duration)

	mu    sync.Mutex
	timer *time.Timer // nil: there is no outage
}

// begin takes note of an outage, unless one is going on.
func (o *outage) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.timer != nil {
		return
	}
	began := time.Now()
	var timer *time.Timer
	timer = time.AfterFunc(o.after, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.timer == timer {
			o.tell(time.Since(began))
		}
	})
	o.timer = timer
}

// over takes note of its end. After it nothing is told of it.
func (o *outage) over() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.timer != nil {
		o.timer.Stop()
		o.timer = nil
	}
}
