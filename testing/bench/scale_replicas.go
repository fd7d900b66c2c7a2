package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// effort is an observer that also takes the time of claims and reconciles.
type effort struct {
	mu                 sync.Mutex
	claims, reconciles []time.Duration
	on                 bool
}

func (e *effort) begin() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.on, e.claims, e.reconciles = true, nil, nil
}

func (e *effort) end() (claims, reconciles []float64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.on = false
	return microseconds(e.claims), microseconds(e.reconciles)
}

func (e *effort) claimed(took time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.on {
		e.claims = append(e.claims, took)
	}
}

func (e *effort) reconciled(took time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.on {
		e.reconciles = append(e.reconciles, took)
	}
}

// measureReplicas lets one replica work, alone and beside others that hear of everything.
func (r *Report) measureReplicas(ctx context.Context, server *pgserver.Server, o Options) error {
	n := o.scale()
	d, err := newDatabase(ctx, server, "replicas")
	if err != nil {
		return err
	}
	defer d.close(ctx)
	const size = 100
	migrations, rows := n.worked, n.batches*size
	if err := d.fill(ctx, bigints, rows); err != nil {
		return err
	}
	var all []*rig
	defer func() {
		for _, rig := range all {
			rig.close()
		}
	}()
	var base, own figuresOfReplicas
	for _, replicas := range []int{1, n.replicas} {
		for len(all) < replicas {
			rig, err := newRig(ctx, d, executor.DefaultSettings(), o.Logger)
			if err != nil {
				return err
			}
			all = append(all, rig)
		}
		var f figuresOfReplicas
		for i := range 2 * migrations { // the first half warms up
			if i == migrations {
				f.begin(all)
			}
			if err := f.run(ctx, d, all, fmt.Sprintf("%d_%d", replicas, i), rows, size, i >= migrations); err != nil {
				return err
			}
		}
		f.end(all)
		base, own = own, f
	}
	beside := fmt.Sprintf(", %d replicas beside one", n.replicas)
	for _, l := range []struct {
		what      string
		own, base []float64
		part      float64
	}{
		{"a claim", own.claims, base.claims, 0.5},
		// All hear of an event at once: most of them wait for a core, which is no cost of theirs.
		{"a reconcile, the tenth that waits least for a core", own.reconciles, base.reconciles, 0.1},
	} {
		noise := uncertainty(l.own)/median(l.own) + uncertainty(l.base)/median(l.base)
		r.flat(SectionReplicas, l.what+beside, fmt.Sprintf("%.0f µs, median %s", quantile(l.own, l.part), spread(l.own)),
			fmt.Sprintf("%.0f µs, median %s", quantile(l.base, l.part), spread(l.base)), quantile(l.own, l.part)/quantile(l.base, l.part), noise)
	}
	r.flat(SectionReplicas, "transactions that write, per batch"+beside, fmt.Sprintf("%.2f", own.written), fmt.Sprintf("%.2f", base.written), own.written/base.written, 0)
	r.shown(SectionReplicas, "reconciles per migration"+beside, strconv.Itoa(len(own.reconciles)/migrations), strconv.Itoa(len(base.reconciles)/migrations))
	return nil
}

// figuresOfReplicas are those of so many replicas.
type figuresOfReplicas struct {
	claims, reconciles []float64
	written            float64 // per batch
	transactions       int64
	batches            int
}

func (f *figuresOfReplicas) begin(all []*rig) {
	for _, rig := range all {
		rig.effort.begin()
	}
}

func (f *figuresOfReplicas) end(all []*rig) {
	for _, rig := range all {
		claims, reconciles := rig.effort.end()
		f.claims, f.reconciles = append(f.claims, claims...), append(f.reconciles, reconciles...)
	}
	f.written = float64(f.transactions) / float64(f.batches)
}

// run lets the replicas have one migration, which one of them will work through.
func (f *figuresOfReplicas) run(ctx context.Context, d *database, all []*rig, name string, rows, size int, counts bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Minute, errors.New("the migration did not end within ten minutes"))
	defer cancel()
	before, err := d.read(ctx, false)
	if err != nil {
		return err
	}
	if _, err := d.admin.Exec(ctx, "SELECT bbm.enqueue($1, 'bench_rows', name => $2, batch_size => $3, target_duration => '0')", workAny, name, size); err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	if err := anyEnd(ctx, all); err != nil {
		return err
	}
	for _, rig := range all {
		if err := rig.quiet(ctx); err != nil {
			return err
		}
	}
	after, err := d.read(ctx, true)
	if counts {
		f.transactions, f.batches = f.transactions+after.written-before.written, f.batches+rows/size
	}
	return err
}

// anyEnd waits until one of the replicas has recorded the end of the migration.
func anyEnd(ctx context.Context, all []*rig) error {
	ended := make(chan struct{}, len(all))
	waiting, cancel := context.WithCancel(ctx)
	var wait sync.WaitGroup
	for _, rig := range all {
		wait.Go(func() {
			select {
			case <-rig.ends:
				ended <- struct{}{}
			case <-waiting.Done():
			}
		})
	}
	defer wait.Wait()
	defer cancel()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
