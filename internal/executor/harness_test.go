package executor_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/prelude"
	"github.com/bbmd-dev/bbmd/notify"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// replica is an executor that runs in the test, with everything that a daemon gives it.
type replica struct {
	*executor.Executor
	process *process
	log     *logbook

	t      *testing.T
	cancel context.CancelCauseFunc
	done   chan struct{}
	err    error // of Run, once done is closed
}

var errStopped = errors.New("stopped by the test")

// start runs an executor on db, as a worker, until the test ends, or stop or kill is called.
// It is woken by what it hears from the database, and by nothing else.
func start(t *testing.T, db *pgtest.Database, change func(*executor.Options)) *replica {
	t.Helper()
	return startAs(t, db.Worker(t), change)
}

// startAs is start, as whom db says.
func startAs(t *testing.T, db *pgtest.Database, change func(*executor.Options)) *replica {
	t.Helper()
	listener, err := notify.NewListener(notify.ListenerConfig{URL: db.URL})
	require.NoError(t, err)
	return startWith(t, db, change, listener.Run)
}

// startDeaf is start for a replica that hears nothing, and looks once, as it begins.
func startDeaf(t *testing.T, db *pgtest.Database, change func(*executor.Options)) *replica {
	t.Helper()
	return startWith(t, db.Worker(t), change, func(context.Context, func(notify.Event)) error { return nil })
}

func startWith(t *testing.T, db *pgtest.Database, change func(*executor.Options), listen func(context.Context, func(notify.Event)) error) *replica {
	t.Helper()
	r := &replica{t: t, process: newProcess(), log: &logbook{}, done: make(chan struct{})}
	works := registry.New()
	require.NoError(t, works.Register(bump, bumpInGo))
	opts := executor.Options{
		Database: "test",
		Pool:     r.process.pool(t, db),
		Connect: func(ctx context.Context, application string) (*pgx.Conn, error) {
			return r.process.connect(ctx, db, application)
		},
		Store:    control.NewStore(""),
		Registry: works,
		Logger:   slog.New(slog.NewTextHandler(io.MultiWriter(t.Output(), r.log), &slog.HandlerOptions{Level: slog.LevelDebug})),
		Settings: executor.DefaultSettings(),
	}
	opts.Settings.TargetDuration = 0 // batch_size is what a test says
	if change != nil {
		change(&opts)
	}
	r.Executor = executor.New(opts)
	ctx, cancel := context.WithCancelCause(context.Background())
	r.cancel = cancel
	var both sync.WaitGroup
	both.Go(func() { _ = listen(ctx, r.hear) })
	both.Go(func() { r.err = r.Run(ctx) })
	go func() {
		both.Wait()
		close(r.done)
	}()
	t.Cleanup(r.stop)
	return r
}

func (r *replica) hear(e notify.Event) {
	if e.Channel != notify.ChannelProgress {
		r.Wake()
	}
}

// stop ends the executor as a signal would, and waits for its end.
func (r *replica) stop() {
	r.t.Helper()
	r.process.thaw()
	r.cancel(errStopped)
	select {
	case <-r.done:
		require.ErrorIs(r.t, r.err, errStopped)
	case <-time.After(time.Minute):
		require.FailNow(r.t, "the executor does not stop")
	}
}

// kill ends the replica as kill -9 would: not one more statement of it reaches the server.
func (r *replica) kill() {
	r.t.Helper()
	r.process.kill()
	r.stop()
}

// with combines changes of options.
func with(changes ...func(*executor.Options)) func(*executor.Options) {
	return func(o *executor.Options) {
		for _, change := range changes {
			change(o)
		}
	}
}

// works replaces the Works that a replica has.
func works(t *testing.T, all ...registry.Work) func(*executor.Options) {
	t.Helper()
	return func(o *executor.Options) {
		r := registry.New()
		require.NoError(t, r.Register(all...))
		o.Registry = r
	}
}

// workers sets how many jobs a replica runs at the same time.
func workers(n int) func(*executor.Options) {
	return func(o *executor.Options) { o.Settings.Workers = n }
}

// watch sets how often a replica that does not work on a migration looks after those that do.
func watch(interval time.Duration) func(*executor.Options) {
	return func(o *executor.Options) { o.Settings.TakeoverInterval = interval }
}

// soon is a takeover interval for tests that wait for a death to be noticed, and never
// one for tests in which an event has to do.
const (
	soon  = 100 * time.Millisecond
	never = 10 * time.Minute
)

// hooks is an Observer that calls what is set.
type hooks struct {
	executor.NoObserver

	reconciled func(byStatus map[string]int)
	claimed    func(jobs int)
	batchDone  func(outcome string)
	tookOver   func(jobs int64)
	ended      func(status string)
}

var _ executor.Observer = hooks{}

func (h hooks) Reconciled(byStatus map[string]int, _, _ time.Duration) {
	if h.reconciled != nil {
		h.reconciled(byStatus)
	}
}

func (h hooks) Claimed(_ string, jobs int, _ time.Duration) {
	if h.claimed != nil {
		h.claimed(jobs)
	}
}

func (h hooks) BatchDone(_, outcome string, _ int64, _ time.Duration) {
	if h.batchDone != nil {
		h.batchDone(outcome)
	}
}

func (h hooks) TookOver(_ string, jobs int64) {
	if h.tookOver != nil {
		h.tookOver(jobs)
	}
}

func (h hooks) MigrationEnded(_, status string) {
	if h.ended != nil {
		h.ended(status)
	}
}

func observe(h hooks) func(*executor.Options) {
	return func(o *executor.Options) { o.Observer = h }
}

// logbook keeps what a replica logged.
type logbook struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{} // closed with the next line; nil: nobody waits
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.grown != nil {
		close(l.grown)
		l.grown = nil
	}
	return l.text.Write(p)
}

func (l *logbook) String() string {
	text, _ := l.read()
	return text
}

func (l *logbook) read() (text string, grown <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.grown == nil {
		l.grown = make(chan struct{})
	}
	return l.text.String(), l.grown
}

// logs waits until the replica has logged a text. What is on a row may be logged after it.
func (r *replica) logs(text string) {
	r.t.Helper()
	patience := time.After(2 * time.Minute)
	for {
		all, grown := r.log.read()
		if strings.Contains(all, text) {
			return
		}
		select {
		case <-grown:
		case <-patience:
			require.Contains(r.t, all, text)
		}
	}
}

// pool opens the replica's control pool.
func (p *process) pool(t *testing.T, db *pgtest.Database) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(db.URL)
	require.NoError(t, err)
	config.ConnConfig.DialFunc = p.dial
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// connect opens a connection for a worker.
func (p *process) connect(ctx context.Context, db *pgtest.Database, application string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(db.URL)
	if err != nil {
		return nil, err
	}
	config.DialFunc = p.dial
	config.RuntimeParams["application_name"] = application
	prelude.Install(&config.Config)
	return pgx.ConnectConfig(ctx, config)
}

// grace sets how long batches may take to end when a replica stops.
func grace(d time.Duration) func(*executor.Options) {
	return func(o *executor.Options) { o.Settings.ShutdownGrace = d }
}
