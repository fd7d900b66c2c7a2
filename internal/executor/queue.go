package executor

import (
	"cmp"
	"context"
	"errors"
	"maps"
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

	stopped []control.Candidate // paused, failed or cancelled, and some of their jobs may still be running: no part of the above
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
	q := queue{near: make(map[int32]bool, len(page))}
	page, q.stopped = apart(page)
	for i := range page {
		q.near[page[i].ID] = true
	}
	err = e.scanOn(ctx, &q, page)
	return q, err
}

// apart sets those apart that are stopped, for which there is nothing to decide.
func apart(page []control.Candidate) (open, stopped []control.Candidate) {
	for i := range page {
		if page[i].Stopped() {
			stopped = append(stopped, page[i])
		} else {
			open = append(open, page[i])
		}
	}
	return open, stopped
}

// scanOn reads on behind the first page for as long as workers are left that nobody there can use: whoever cannot run,
// for want of a Work or a dependency, keeps nobody behind it from running.
func (e *Executor) scanOn(ctx context.Context, q *queue, page []control.Candidate) error {
	s := e.situation()
	d, known := undecided(&s), make(map[int32]bool)
	for {
		last := lastActive(page)
		added := q.add(page, known)
		if last == nil {
			break
		}
		q.part = true
		if d.consider(added, &s); d.free <= 0 {
			break
		}
		behind := control.Behind{Priority: last.Priority, ID: last.ID, Tables: q.taken(d), Works: s.absent()}
		var err error
		if page, err = e.opts.Store.ScanBehind(ctx, e.opts.Pool, behind); err != nil {
			return err
		}
		if lastActive(page) == nil { // the end, but for those that were passed over
			q.part = len(behind.Tables)+len(behind.Works) > 0
		}
	}
	slices.SortStableFunc(q.all, func(a, b control.Candidate) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.ID, b.ID))
	})
	return nil
}

// taken names the tables on which no other migration can start.
func (q *queue) taken(d decision) (tables []string) {
	for i := range q.all {
		if q.all[i].Status == control.StatusRunning {
			tables = append(tables, q.all[i].Table)
		}
	}
	return slices.AppendSeq(tables, maps.Keys(d.starting))
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

// add adds those of a page that are not known yet, and returns them. One whose status has changed since it came with another
// page is left as it was.
func (q *queue) add(page []control.Candidate, known map[int32]bool) []control.Candidate {
	before := len(q.all)
	for i := range page {
		if !known[page[i].ID] {
			known[page[i].ID] = true
			q.all = append(q.all, page[i])
		}
	}
	return q.all[before:]
}

func (e *Executor) scanOnly(ctx context.Context) (queue, error) {
	c, err := e.opts.Store.ScanOne(ctx, e.opts.Pool, e.opts.Only)
	switch {
	case errors.Is(err, control.ErrNoMigration): // somebody has deleted it
		return queue{}, nil
	case err != nil:
		return queue{}, err
	case c.Stopped() && len(c.Owners) > 0:
		return queue{stopped: []control.Candidate{c}}, nil
	case c.Stopped():
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
