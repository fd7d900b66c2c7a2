package executor

import (
	"fmt"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/registry"
)

// noteLock takes note of whether others keep this executor from its one migration.
func (e *Executor) noteLock(queue []control.Candidate) {
	e.locked.Store(nil)
	if e.opts.Only == "" || len(queue) == 0 || len(e.workers) > 0 {
		return
	}
	if c := &queue[0]; c.SlotsHeld >= c.Parallelism {
		err := fmt.Errorf("%w: as many workers of other replicas are at it as its parallelism, %d, allows; a higher one lets this replica help", registry.ErrLockInUse, c.Parallelism)
		e.locked.Store(&err)
	}
}

// LockInUse returns why an executor with [Options.Only] does nothing although
// its migration runs: an error that wraps [registry.ErrLockInUse] while others hold all of
// the migration's places for workers. It is nil otherwise. It is as of the last
// scan, and there is one at least every TakeoverInterval as long as that lasts.
func (e *Executor) LockInUse() error {
	if p := e.locked.Load(); p != nil {
		return *p
	}
	return nil
}
