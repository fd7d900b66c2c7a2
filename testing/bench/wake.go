package bench

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/notify"
)

// What wakes are raised by. The bare INSERT writes the same row into the same table
// without triggers, and notifies in the same statement: one round trip, one flush, as ours.
const (
	bareChannel = "bench_bare"
	bareNotify  = "NOTIFY " + bareChannel
	ourNotify   = "NOTIFY " + notify.ChannelNew
	bareInsert  = `WITH written AS (INSERT INTO bench_bare (name, job_signature_name, table_name, status)
		VALUES (gen_random_uuid()::text, 'nothing', 'bench_bare', 'paused') RETURNING 1) SELECT pg_notify('` + bareChannel + `', '') FROM written`
	ourInsert = `INSERT INTO bbm.batched_background_migrations (name, job_signature_name, table_name, status)
		VALUES (gen_random_uuid()::text, 'nothing', 'bench_bare', 'paused')`
)

// wakeBlock is how many tries of each kind one listener gets before the other has its
// turn: with both connected the server would wake one before the other.
const wakeBlock = 25

// latencies are the tries of one listener: from before a statement was sent until the
// listener had its event.
type latencies struct {
	notify, insert [][]time.Duration // by block
}

func (r *Report) measureWakes(ctx context.Context, server *pgserver.Server, o Options) error {
	d, err := newDatabase(ctx, server, "wake")
	if err != nil {
		return err
	}
	defer d.close(ctx)
	if err := d.run(ctx, "CREATE TABLE bench_bare (LIKE bbm.batched_background_migrations INCLUDING ALL)", "CHECKPOINT"); err != nil {
		return err
	}
	n := o.sizes()
	var bare, ours, streamed latencies
	for range max(2, n.wakes/wakeBlock) {
		if err := listenBare(ctx, d, min(n.wakes, wakeBlock), &bare); err != nil {
			return err
		}
		if err := listenOurs(ctx, d, min(n.wakes, wakeBlock), &ours); err != nil {
			return err
		}
		if err := listenStream(ctx, d, min(n.wakes, wakeBlock), &streamed); err != nil {
			return err
		}
	}
	r.addWakes("INSERT by another session, until notify.Listener has it; beside INSERT and pg_notify until a bare listener has it", ours.insert, bare.insert, 1.25)
	r.addWakes("NOTIFY bbm_new until notify.Listener has it; beside a bare NOTIFY and a bare listener", ours.notify, bare.notify, 1.2)
	messages, err := sendsMessages(ctx, d)
	if err != nil {
		return err
	}
	r.addStreamed(streamed, ours, messages)
	return r.measureScans(ctx, d, o)
}

func (r *Report) addWakes(what string, ours, bare [][]time.Duration, target float64) {
	own, floor := flatten(ours, 0, 1), flatten(bare, 0, 1)
	control := median(flatten(bare, 0, 2)) / median(flatten(bare, 1, 2))
	ratio := median(own) / median(floor)
	r.lines = append(r.lines, line{
		section: SectionWake, what: what, value: spread(own), beside: spread(floor), ratio: fmt.Sprintf("%.2f (A/A %.2f)", ratio, control),
		target: fmt.Sprintf("≤ %.2f", target), verdict: judgeAtMost(ratio, target, math.Abs(control-1)),
	})
}

// flatten returns the microseconds of every step-th block, from first on.
func flatten(blocks [][]time.Duration, first, step int) []float64 {
	var all []float64
	for i := first; i < len(blocks); i += step {
		all = append(all, microseconds(blocks[i])...)
	}
	return all
}

func spread(values []float64) string {
	return fmt.Sprintf("%.0f µs (p99 %.0f)", median(values), quantile(values, 0.99))
}

// listenBare measures with pgx alone.
func listenBare(ctx context.Context, d *database, tries int, l *latencies) error {
	listener, err := d.connect(ctx, "bench listener")
	if err != nil {
		return err
	}
	defer closeConn(ctx, listener)
	if _, err := listener.Exec(ctx, "LISTEN "+bareChannel); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	arrived := make(chan time.Time, 1)
	listening, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, err := listener.WaitForNotification(listening); err != nil {
				return
			}
			arrived <- time.Now()
		}
	}()
	err = l.measure(ctx, d, bareNotify, bareInsert, tries, arrived)
	stop()
	<-ended
	return err
}

// listenOurs measures with notify.Listener.
func listenOurs(ctx context.Context, d *database, tries int, l *latencies) error {
	listener, err := notify.NewListener(notify.ListenerConfig{URL: d.url})
	if err != nil {
		return err
	}
	return listenTo(ctx, d, listener, ourNotify, tries, l)
}

// listenTo measures with a source of events.
func listenTo(ctx context.Context, d *database, source notify.Source, notifySQL string, tries int, l *latencies) error {
	arrived, connected := make(chan time.Time, 1), make(chan time.Time, 1)
	listening, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = source.Run(listening, func(e notify.Event) { // it ends because it is stopped
			if e.Resync() {
				connected <- time.Now()
				return
			}
			arrived <- time.Now()
		})
	}()
	_, err := receive(ctx, connected)
	if err == nil {
		err = l.measure(ctx, d, notifySQL, ourInsert, tries, arrived)
	}
	stop()
	<-ended
	return err
}

// measure raises events in turns, and waits for each.
func (l *latencies) measure(ctx context.Context, d *database, notifySQL, insertSQL string, tries int, arrived <-chan time.Time) error {
	notifies, inserts := make([]time.Duration, tries), make([]time.Duration, tries)
	for i := range tries {
		var err error
		if notifies[i], err = raise(ctx, d.admin, notifySQL, arrived); err != nil {
			return err
		}
		if inserts[i], err = raise(ctx, d.admin, insertSQL, arrived); err != nil {
			return err
		}
	}
	l.notify, l.insert = append(l.notify, notifies), append(l.insert, inserts)
	return nil
}

func raise(ctx context.Context, sender *pgx.Conn, sql string, arrived <-chan time.Time) (time.Duration, error) {
	began := time.Now()
	if _, err := sender.Exec(ctx, sql); err != nil {
		return 0, fmt.Errorf("%w\nin: %s", err, sql)
	}
	at, err := receive(ctx, arrived)
	return at.Sub(began), err
}

// measureScans measures how soon after an event the executor has sent its scan.
func (r *Report) measureScans(ctx context.Context, d *database, o Options) error {
	rig, err := newRig(ctx, d, executor.DefaultSettings(), o.Logger)
	if err != nil {
		return err
	}
	defer rig.close()
	n := o.sizes()
	if err := r.addScans(ctx, rig, "from the listener's event until the executor's scan is on its way", n.wakes/2, 0, 50); err != nil {
		return err
	}
	if n.idleWakes == 0 {
		return nil
	}
	return r.addScans(ctx, rig, "the same after more than a second without events", n.idleWakes, 1100*time.Millisecond, 0) // how soon a sleeping processor wakes is not ours
}

// addScans measures the time in microseconds; target 0: none.
func (r *Report) addScans(ctx context.Context, rig *rig, what string, tries int, silence time.Duration, target float64) error {
	all := make([]float64, 0, tries)
	for range tries {
		if err := rig.quiet(ctx); err != nil {
			return err
		}
		if err := pause(ctx, silence); err != nil {
			return err
		}
		rig.forget()
		rig.arm()
		if _, err := rig.db.admin.Exec(ctx, ourNotify); err != nil {
			return fmt.Errorf("notify: %w", err)
		}
		e, err := receive(ctx, rig.events)
		if err != nil {
			return err
		}
		sent, err := receive(ctx, rig.writes)
		if err != nil {
			return err
		}
		all = append(all, float64(sent.Sub(e.at).Nanoseconds())/1000)
	}
	l := line{section: SectionWake, what: what, value: spread(all), beside: "-", ratio: "-", target: "-", verdict: "-"}
	if target > 0 {
		l.target, l.verdict = fmt.Sprintf("≤ %.0f µs", target), judgeAtMost(median(all), target, uncertainty(all))
	}
	r.lines = append(r.lines, l)
	return nil
}

// pause waits for silence, which is what is measured.
func pause(ctx context.Context, silence time.Duration) error {
	if silence == 0 {
		return nil
	}
	timer := time.NewTimer(silence)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
