package bench

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/notify"
)

// watcher sees what an executor does, from inside its process.
type watcher struct {
	executor.NoObserver

	events chan event // from the listener
	ends   chan end
	writes chan time.Time // the first write to the server after [watcher.arm]
	armed  atomic.Bool
	effort effort

	mu       sync.Mutex
	scanned  time.Time        // when the last scan had ended
	sessions []uint32         // backends of workers
	spent    time.Duration    // by these
	rested   time.Time        // since when they have spent no more
	batch    func(rows int64) // hears of finished batches; nil: nobody does
}

type event struct {
	channel string
	at      time.Time
}

type end struct {
	migration, status string
	at                time.Time
}

var _ executor.Observer = (*watcher)(nil)

func newWatcher() *watcher {
	return &watcher{events: make(chan event, 1000), ends: make(chan end, 1000), writes: make(chan time.Time, 1), scanned: time.Now(), effort: effort{scanned: make(chan struct{}, 1)}}
}

func (w *watcher) event(e notify.Event, at time.Time) {
	select {
	case w.events <- event{e.Channel, at}:
	default: // nobody is measuring
	}
}

func (w *watcher) session(pid uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions = append(w.sessions, pid)
}

// Reconciled implements [executor.Observer].
func (w *watcher) Reconciled(_ map[string]int, took, _ time.Duration) {
	w.effort.reconciled(took)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scanned = time.Now()
}

// Claimed implements [executor.Observer].
func (w *watcher) Claimed(_ string, _ int, took time.Duration) { w.effort.claimed(took) }

// BatchDone implements [executor.Observer].
func (w *watcher) BatchDone(_, outcome string, rows int64, _ time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.batch != nil && outcome == "finished" {
		w.batch(rows)
	}
}

// TookOver implements [executor.Observer].
func (w *watcher) TookOver(string, int64) {}

// MigrationEnded implements [executor.Observer].
func (w *watcher) MigrationEnded(migration, status string) {
	w.ends <- end{migration, status, time.Now()}
}

// forget drops events that nobody waited for.
func (w *watcher) forget() {
	for {
		select {
		case <-w.events:
		case <-w.ends:
		default:
			return
		}
	}
}

// quiet waits until no worker's session has done anything and no scan has ended for some
// milliseconds, so that what one slice set off is not measured in the next.
func (w *watcher) quiet(ctx context.Context) error {
	const silence = 8 * time.Millisecond
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if time.Since(w.lastSpent()) > silence && time.Since(began) > silence && time.Since(w.lastScan()) > silence {
			return nil
		}
	}
}

func (w *watcher) lastScan() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.scanned
}

// lastSpent returns when the workers' sessions have last used a processor, as far as anybody has looked: some of them
// wait for the next migration.
func (w *watcher) lastSpent() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions = slices.DeleteFunc(w.sessions, func(pid uint32) bool { return !alive(pid) })
	var spent time.Duration
	for _, pid := range w.sessions {
		spent += running(int(pid))
	}
	if spent != w.spent {
		w.spent, w.rested = spent, time.Now()
	}
	return w.rested
}

// arm makes the watcher note the next write of the control pool.
func (w *watcher) arm() {
	select {
	case <-w.writes:
	default:
	}
	w.armed.Store(true)
}

// dial wraps a pool's dial function.
func (w *watcher) dial(base pgconn.DialFunc) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := base(ctx, network, address)
		if err != nil {
			return nil, err
		}
		raw, ok := conn.(syscall.Conn)
		if !ok {
			return nil, fmt.Errorf("watch %s: a %T has no descriptor", address, conn)
		}
		return &watched{Conn: conn, raw: raw, watcher: w}, nil
	}
}

// watched is a connection of the control pool.
type watched struct {
	net.Conn

	raw     syscall.Conn
	watcher *watcher
}

// SyscallConn implements [syscall.Conn]: the pool looks at the socket before it uses it.
func (c *watched) SyscallConn() (syscall.RawConn, error) { return c.raw.SyscallConn() }

// Write implements [net.Conn].
func (c *watched) Write(b []byte) (int, error) {
	if c.watcher.armed.CompareAndSwap(true, false) {
		c.watcher.writes <- time.Now()
	}
	return c.Conn.Write(b)
}

// await waits for one event.
func await(ctx context.Context, events <-chan event) error {
	_, err := receive(ctx, events)
	return err
}

// receive waits for one value, half a minute at most.
func receive[T any](ctx context.Context, from <-chan T) (T, error) {
	const patience = 30 * time.Second
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var none T
	select {
	case v := <-from:
		return v, nil
	case <-timer.C:
		return none, fmt.Errorf("nothing came within %s", patience)
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}
