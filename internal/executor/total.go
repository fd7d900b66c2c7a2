package executor

import (
	"context"
	"fmt"
	"math"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// place is where in its range a migration is: the share of the rows that are behind it
// lies between two bounds.
type place struct{ least, most float64 }

// around returns the place where that share is behind, give or take. As long as anything is left, the
// last rows of all are not behind.
func around(share, tolerance float64) place {
	share = min(max(share, 0), 1)
	return place{max(share-tolerance, 0), min(share+tolerance, 1-(1-share)/2)}
}

const (
	plannerTolerance = 0.01 // the planner's histograms have a hundred buckets
	sampleTolerance  = 0.03
	densityTolerance = 0.05 // keys that are as dense as those so far: that is a guess
	// firmShare is the share from which on a total that is too high is corrected: until
	// then a second's work, not counted yet, may be a large part of the keys.
	firmShare = 0.1
)

// total corrects what is known of a migration's rows, [unknownRows] if nothing is, where
// it cannot be: with so many keys behind it at that place. What can be is left alone, so that the
// total does not move with every look.
func (p place) total(keys, known int64) int64 {
	k := float64(keys)
	if known < 0 {
		middle := (p.least + p.most) / 2
		if p.least <= 0 {
			return unknownRows
		}
		return bounded(k / middle)
	}
	total := float64(known)
	if p.least >= firmShare {
		total = min(total, k/p.least)
	}
	return bounded(max(total, k/max(p.most, math.SmallestNonzeroFloat32)))
}

// revise estimates anew how many rows the migration has in all, from how far
// along its keys it is and how many were behind these: those that are counted, and those that were not
// when this began.
func (w *worker) revise(ctx context.Context, uncounted int64) error {
	c, store, db := &w.candidate, w.opts.Store, w.opts.Pool
	keys, after, err := store.Passed(ctx, db, c.ID) // at once: what finishes before it looks is missing
	if err != nil || after == nil {
		return err
	}
	known, running, err := store.Total(ctx, db, c.ID)
	if err != nil || !running {
		return err
	}
	if w.target.null != "" {
		if known >= 0 && keys > known {
			return store.SetTotal(ctx, db, c.ID, unknownRows)
		}
		return nil
	}
	if *after == value(c.MaxValue) {
		return nil // the total is known, and counted
	}
	p, err := w.reached(ctx, *after)
	if err != nil {
		return err
	}
	return store.SetTotal(ctx, db, c.ID, p.total(keys+uncounted, known))
}

// reached is where the key up to which batches were cut is among the rows of the range.
func (w *worker) reached(ctx context.Context, after string) (place, error) {
	c, db, t := &w.candidate, w.opts.Pool, w.target
	all, met, err := w.opts.Store.Landmarks(ctx, db, c.ID, t.reached(), after)
	if err != nil {
		return place{}, err
	}
	if all > 0 {
		return around((float64(met)+0.5)/float64(all+1), max(sampleTolerance, 1/float64(all))), nil
	}
	first, last := value(c.MinValue), value(c.MaxValue)
	switch known, err := t.canEstimate(ctx, db, first, last, anyShare); {
	case err != nil:
		return place{}, err
	case known && len(t.key) == 1: // what the planner says of several columns is about the first
		return t.plannedPlace(ctx, db, first, last, after)
	case t.discrete():
		share, err := t.interpolated(ctx, db, first, last, after)
		return around(share, densityTolerance), err
	default:
		return place{0, 1}, nil
	}
}

// plannedPlace is where the planner's statistics have the key.
func (t target) plannedPlace(ctx context.Context, db control.DB, first, last, after string) (place, error) {
	all, err := t.between(ctx, db, &first, last)
	if err != nil {
		return place{}, err
	}
	rest, err := t.between(ctx, db, &after, last)
	if err != nil {
		return place{}, err
	}
	rows := float64(max(all, 1))
	return around(1-float64(rest)/rows, max(plannerTolerance, 1/rows)), nil
}

// interpolated is the share of the range of integers that lies behind a key.
func (t target) interpolated(ctx context.Context, db control.DB, first, last, after string) (share float64, err error) {
	err = db.QueryRow(ctx, "SELECT ($2::text::float8 - $1::text::float8 + 1) / ($3::text::float8 - $1::text::float8 + 1)", first, after, last).Scan(&share)
	if err != nil {
		return 0, fmt.Errorf("estimate the rows of %s: %w", t.table, err)
	}
	return share, nil
}

// size estimates how many rows the migration has in all, unless that was done
// already: by the planner's statistics, or where they are no good by a sample of the table. It is
// called when the first batches are done, so that no migration waits for it before it begins.
func (w *worker) size(ctx context.Context) error {
	c, t, store, db := &w.candidate, w.target, w.opts.Store, w.opts.Pool
	if known, running, err := store.Total(ctx, db, c.ID); err != nil || !running || known >= 0 || t.null != "" {
		return err
	}
	first, last := value(c.MinValue), value(c.MaxValue)
	known, err := t.canEstimate(ctx, db, first, last, changedShare)
	if err != nil {
		return err
	}
	var s sampled
	if known && len(t.key) == 1 {
		s.rows, err = t.planned(ctx, db, first, last, passed{})
	} else {
		s, err = t.sample(ctx, db, first, last)
	}
	if err != nil || s.rows < 0 {
		return err
	}
	return store.SetSize(ctx, db, c.ID, s.rows, s.marks)
}
