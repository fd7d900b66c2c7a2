package executor

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// queue is what is active or running, in the order in which it wants to run: of a long queue as
// much of its beginning as is needed to give every worker something to do.
type queue struct {
	all  []control.Candidate
	part bool           // there are more, further behind, that are active and not listed
	near map[int32]bool // those that came first
}

// scan returns the queue of all migrations, or of the one that the executor is for.
func (e *Executor) scan(ctx context.Context) (queue, error) {
	if e.opts.Only != "" {
		return e.scanOnly(ctx)
	}
	store, db := e.opts.Store, e.opts.Pool
	page, err := store.Scan(ctx, db)
	if err != nil {
		return queue{}, err
	}
	q := queue{all: page, near: make(map[int32]bool, len(page))}
	for i := range page {
		q.near[page[i].ID] = true
	}
	last := lastActive(page)
	for q.part = last != nil; q.part; {
		// Whoever cannot run, for want of a Work or a dependency, keeps nobody behind it from running.
		spare, taken := e.situation().spare(q.all)
		if !spare {
			return q, nil
		}
		if page, err = store.ScanBehind(ctx, db, last.Priority, last.ID, taken); err != nil {
			return queue{}, err
		}
		q.add(page)
		if last = lastActive(page); last == nil {
			q.part = len(taken) > 0
			return q, nil
		}
	}
	return q, nil
}

// told leaves out the reasons of migrations far behind that have one: theirs may be of some
// time ago, and is not written anew whenever one before them ends.
func (q *queue) told(reasons map[int32]string) map[int32]string {
	for i := range q.all {
		if c := &q.all[i]; c.StatusReason != nil && q.near != nil && !q.near[c.ID] {
			delete(reasons, c.ID)
		}
	}
	return reasons
}

// lastActive returns the last active migration of a full page, behind which there may be
// more; nil: the page is not full.
func lastActive(page []control.Candidate) *control.Candidate {
	var last *control.Candidate
	active := 0
	for i := range page {
		if page[i].Status == control.StatusActive {
			last, active = &page[i], active+1
		}
	}
	if active < control.ScanLimit {
		return nil
	}
	return last
}

// add puts a page in its place: migrations that are running came with the first. One whose
// status has changed since then is left as it was.
func (q *queue) add(page []control.Candidate) {
	known := make(map[int32]bool, len(q.all))
	for i := range q.all {
		known[q.all[i].ID] = true
	}
	for i := range page {
		if !known[page[i].ID] {
			q.all = append(q.all, page[i])
		}
	}
	slices.SortStableFunc(q.all, func(a, b control.Candidate) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.ID, b.ID))
	})
}

func (e *Executor) scanOnly(ctx context.Context) (queue, error) {
	c, err := e.opts.Store.ScanOne(ctx, e.opts.Pool, e.opts.Only)
	switch {
	case errors.Is(err, control.ErrNoMigration): // somebody has deleted it
		return queue{}, nil
	case err != nil:
		return queue{}, err
	case c.Status != control.StatusActive && c.Status != control.StatusRunning:
		return queue{}, nil
	default:
		return queue{all: []control.Candidate{c}}, nil
	}
}

// countInLongQueue is how often the migrations of a queue are counted that is too long to be
// listed at every event.
const countInLongQueue = 15 * time.Second

// open returns how many migrations are active and running: of a long queue
// as of some seconds ago.
func (e *Executor) open(ctx context.Context, q queue) map[string]int {
	if q.part && time.Since(e.counted) > countInLongQueue {
		count, err := e.opts.Store.CountOpen(ctx, e.opts.Pool)
		if err != nil {
			e.log.DebugContext(ctx, "migrations not counted", "error", err) // a metric is late, nothing else
		} else {
			e.counted, e.count = time.Now(), count
		}
	}
	if q.part && e.count != nil {
		return e.count
	}
	byStatus := make(map[string]int)
	for i := range q.all {
		byStatus[q.all[i].Status]++
	}
	return byStatus
}
