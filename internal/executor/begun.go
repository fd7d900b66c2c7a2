package executor

import (
	"context"
	"reflect"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/registry"
)

// begun is what a Work has begun of the next batch, ahead of its transaction. It belongs to the
// session and the owner that it was begun under.
type begun struct {
	job   int64
	batch registry.Batch
	registry.Begun
}

// begin lets the Work begin with the next job, if there is one, while the server is at the end of the one before.
func (r *explicit) begin(ctx context.Context, start func(context.Context, registry.Batch) registry.Begun, next *control.Job) {
	if start == nil || next == nil {
		return
	}
	b := r.batch(next)
	started, err := guardedValue(ctx, r.log, func() (registry.Begun, error) { return start(ctx, b), nil })
	if err == nil && started != nil { // a panic is told, and the batch itself will meet it
		r.begun = &begun{job: next.ID, batch: b, Begun: started}
	}
}

// takeBegun returns what was begun for exactly this batch, or nil. What was begun for any other is dropped.
func (r *explicit) takeBegun(ctx context.Context, j *control.Job, b registry.Batch) registry.Begun {
	if r.begun == nil {
		return nil
	}
	if r.begun.job != j.ID || j.Careful || !reflect.DeepEqual(r.begun.batch, b) {
		r.drop(ctx)
		return nil
	}
	taken := r.begun.Begun
	r.begun = nil
	return taken
}

// drop lets go of what was begun, if anything was.
func (r *explicit) drop(ctx context.Context) {
	if r.begun != nil {
		dropped := r.begun
		r.begun = nil
		r.letGo(ctx, dropped)
	}
}

// letGo drops what was begun. A panic of its is told, and changes nothing.
func (r *explicit) letGo(ctx context.Context, b registry.Begun) {
	_ = guarded(ctx, r.log, func() error {
		b.Drop()
		return nil
	})
}
