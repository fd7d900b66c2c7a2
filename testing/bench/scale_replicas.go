package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
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
	scanned            chan struct{} // one reconcile has ended since somebody looked
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
	select {
	case e.scanned <- struct{}{}:
	default:
	}
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
	var base, own, again figuresOfReplicas
	for _, phase := range []struct {
		*figuresOfReplicas

		replicas int
	}{{&base, 1}, {&own, n.replicas}, {&again, 1}} {
		for len(all) > phase.replicas {
			all[len(all)-1].close()
			all = all[:len(all)-1]
		}
		for len(all) < phase.replicas {
			rig, err := newRig(ctx, d, executor.DefaultSettings(), o.Logger)
			if err != nil {
				return err
			}
			all = append(all, rig)
		}
		if err := phase.alone(ctx, all[0], n.tries); err != nil {
			return err
		}
		if phase.figuresOfReplicas == &again {
			break
		}
		for i := range 2 * migrations { // the first half warms up
			if i == migrations {
				phase.begin(all)
			}
			if err := phase.run(ctx, d, all, fmt.Sprintf("%d_%d", phase.replicas, i), rows, size, i >= migrations); err != nil {
				return err
			}
		}
		phase.end(all)
	}
	r.addReplicas(n, &own, &base, &again)
	return nil
}

func (r *Report) addReplicas(n scaleSizes, own, base, again *figuresOfReplicas) {
	beside := fmt.Sprintf(", %d replicas beside one", n.replicas)
	r.flat(SectionReplicas, "a claim"+beside, spread(own.claims), spread(base.claims), median(own.claims)/median(base.claims),
		uncertainty(own.claims)/median(own.claims)+uncertainty(base.claims)/median(base.claims))
	alone, control := slices.Concat(base.lone, again.lone), median(again.lone)/median(base.lone)
	r.flat(SectionReplicas, fmt.Sprintf("a reconcile, one at a time%s (A/A %.2f)", beside, control), spread(own.lone), spread(alone),
		median(own.lone)/median(alone), math.Abs(control-1))
	r.flat(SectionReplicas, "transactions that write, per batch"+beside, fmt.Sprintf("%.2f", own.written), fmt.Sprintf("%.2f", base.written), own.written/base.written, 0)
	r.flat(SectionReplicas, "reconciles of a replica per migration"+beside, fmt.Sprintf("%.1f", float64(len(own.reconciles))/float64(n.worked*n.replicas)),
		fmt.Sprintf("%.1f", float64(len(base.reconciles))/float64(n.worked)), float64(len(own.reconciles))/float64(len(base.reconciles)*n.replicas), 0)
	// All hear of an event at once: most of them wait for a core, which is no cost of theirs.
	r.shown(SectionReplicas, "a reconcile while all others do the same"+beside, spread(own.reconciles), spread(base.reconciles))
}

// figuresOfReplicas are those of so many replicas.
type figuresOfReplicas struct {
	claims, reconciles []float64 // while there is work
	lone               []float64 // reconciles of one replica while all others are at rest
	written            float64   // per batch
	transactions       int64
	batches            int
}

// alone wakes one replica, so that it waits for no other.
func (f *figuresOfReplicas) alone(ctx context.Context, rig *rig, tries int) error {
	if err := rig.quiet(ctx); err != nil {
		return err
	}
	rig.effort.begin()
	for range tries {
		select {
		case <-rig.effort.scanned:
		default:
		}
		rig.executor.Wake()
		if _, err := receive(ctx, rig.effort.scanned); err != nil {
			return err
		}
	}
	_, f.lone = rig.effort.end()
	f.lone = f.lone[len(f.lone)/4:] // the first fill caches
	return nil
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
