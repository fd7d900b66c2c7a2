package executor

import (
	"sync"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// tally collects what a worker has done, until it is counted.
type tally struct {
	mu sync.Mutex
	t  control.Tally
}

// finished adds one finished job. A job whose fence has recorded it already is
// not described again.
func (t *tally) finished(j *control.Job, rows int64, ms float32, recorded bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.t.Batches++
	t.t.Keys += int64(j.BatchSize)
	t.t.Rows += rows
	if !recorded {
		t.t.Jobs = append(t.t.Jobs, control.JobTally{ID: j.ID, Rows: rows, Milliseconds: ms})
	}
}

// empty reports whether nothing was collected.
func (t *tally) empty() bool { return t.batches() == 0 }

// batches returns how many batches are not counted yet.
func (t *tally) batches() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.t.Batches
}

// keys returns how many keys the batches had that are not counted yet.
func (t *tally) keys() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.t.Keys
}

// take returns what was collected and starts again.
func (t *tally) take() control.Tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.t
	t.t = control.Tally{}
	return taken
}
