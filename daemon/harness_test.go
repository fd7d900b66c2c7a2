package daemon_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const patience = time.Minute

// bump is not idempotent: a row processed twice shows.
func bump() registry.Work {
	return registry.Work{
		Name: "bump",
		SQL: func(m registry.Migration) (registry.Statement, error) {
			return registry.ParseStatement("UPDATE " + m.Table + " SET n = n + 1 WHERE :range")
		},
	}
}

func bumpRegistry(t *testing.T) *registry.Registry {
	t.Helper()
	works := registry.New()
	require.NoError(t, works.Register(bump()))
	return works
}

// gate is a Work whose batches say that they have begun, and wait to be let go.
type gate struct {
	begun chan struct{}
	open  chan struct{}
}

func newGate() *gate {
	return &gate{begun: make(chan struct{}, 1000), open: make(chan struct{})}
}

func (g *gate) work() registry.Work {
	return registry.Work{
		Name: "gate",
		Run: func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
			g.begun <- struct{}{}
			select {
			case <-g.open:
			case <-ctx.Done():
				return registry.Result{}, context.Cause(ctx)
			}
			tag, err := tx.Exec(ctx, "UPDATE "+b.Table+" SET n = n + 1 WHERE "+b.Where(), b.Args()...)
			return registry.Affected(tag), err
		},
	}
}

func (g *gate) waitBegun(t *testing.T) {
	t.Helper()
	select {
	case <-g.begun:
	case <-time.After(patience):
		require.FailNow(t, "no batch has begun")
	}
}

// configOf returns a configuration with these databases, by name.
func configOf(urls map[string]string) daemon.Config {
	cfg := daemon.DefaultConfig()
	for name, url := range urls {
		cfg.Databases[name] = daemon.Database{URL: daemon.URL(url)}
	}
	cfg.HTTP.Listen = "127.0.0.1:0"
	cfg.BackgroundMigrations.Throttle = `{"traffic": {"mode": "off"}}` // other tests share the server
	return cfg
}

// configFor is the configuration of a daemon that logs in as a worker, who owns nothing, and sees what the throttle looks at: the
// control schema has to be there. A database that is seen as another role already stays so.
func configFor(t *testing.T, db *pgtest.Database) daemon.Config {
	t.Helper()
	link, err := url.Parse(db.URL)
	require.NoError(t, err)
	if link.User.Username() == pgtest.Owner {
		db = db.As(t, pgtest.Observer)
	}
	return configOf(map[string]string{"default": db.URL})
}

// instance is a daemon that runs in the test.
type instance struct {
	*daemon.Daemon

	t      *testing.T
	log    *logbook
	cancel context.CancelCauseFunc
	done   chan struct{}
	err    error // of Run, once done is closed
}

var errStopped = errors.New("stopped by the test")

// start runs a daemon until the test ends or stop is called.
func start(t *testing.T, cfg daemon.Config, opts ...daemon.Option) *instance {
	t.Helper()
	i := &instance{t: t, log: &logbook{}, done: make(chan struct{})}
	level := new(slog.LevelVar)
	logger := slog.New(slog.NewTextHandler(io.MultiWriter(t.Output(), i.log), &slog.HandlerOptions{Level: level}))
	all := []daemon.Option{daemon.WithLogger(logger), daemon.WithLevel(level), daemon.WithWorks(bumpRegistry(t)), daemon.WithLongestRetry(200 * time.Millisecond)}
	d, err := daemon.New(cfg, append(all, opts...)...)
	require.NoError(t, err)
	i.Daemon = d
	require.NoError(t, d.Listen(t.Context()))
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	i.cancel = cancel
	go func() {
		defer close(i.done)
		i.err = d.Run(ctx)
	}()
	t.Cleanup(i.stop)
	return i
}

// works makes a daemon know these Works.
func works(t *testing.T, all ...registry.Work) daemon.Option {
	t.Helper()
	r := registry.New()
	require.NoError(t, r.Register(all...))
	return daemon.WithWorks(r)
}

// stop ends the daemon, and waits for that.
func (i *instance) stop() {
	i.t.Helper()
	i.cancel(errStopped)
	select {
	case <-i.done:
		require.NoError(i.t, i.err)
	case <-time.After(patience):
		require.FailNow(i.t, "the daemon does not stop")
	}
}

func (i *instance) running() bool {
	select {
	case <-i.done:
		return false
	default:
		return true
	}
}

// get asks the daemon's probes.
func (i *instance) get(path string) (status int, body string) {
	i.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(i.t.Context()), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+i.Addr().String()+path, http.NoBody)
	require.NoError(i.t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	require.NoError(i.t, err)
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	require.NoError(i.t, err)
	return response.StatusCode, string(content)
}

// waitAnswer waits until a probe answers so.
func (i *instance) waitAnswer(path string, status int, pattern string) {
	i.t.Helper()
	var got int
	var body string
	require.Eventually(i.t, func() bool {
		got, body = i.get(path)
		return got == status && regexp.MustCompile(pattern).MatchString(body)
	}, patience, 5*time.Millisecond, "%s: want %d and %s", path, status, pattern)
}

func (i *instance) waitReady() {
	i.t.Helper()
	i.waitAnswer("/readyz?verbose", http.StatusOK, `\nready\n$`)
}

func (i *instance) requireAlive() {
	i.t.Helper()
	status, body := i.get("/livez")
	require.Equal(i.t, http.StatusOK, status, body)
	require.True(i.t, i.running())
}

// metric returns the value of a metric with its labels as they are shown; 0 if
// there is none.
func (i *instance) metric(series string) float64 {
	i.t.Helper()
	_, body := i.get("/metrics")
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(body)
	if found == nil {
		return 0
	}
	value, err := strconv.ParseFloat(found[1], 64)
	require.NoError(i.t, err)
	return value
}

// scans returns how often the executor of the database has scanned.
func (i *instance) scans() float64 {
	i.t.Helper()
	return i.metric(`bbmd_reconcile_total{database="default"}`)
}

// settled waits until the executor has scanned and has nothing to do, and
// returns how often it has scanned.
func (i *instance) settled() float64 {
	i.t.Helper()
	last, since := i.scans(), time.Now()
	require.Eventually(i.t, func() bool {
		if now := i.scans(); now != last {
			last, since = now, time.Now()
		}
		return last > 0 && time.Since(since) > 300*time.Millisecond
	}, patience, 10*time.Millisecond)
	return last
}

// logbook is what was logged.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// waitFor waits until a line that matches was logged.
func (l *logbook) waitFor(t *testing.T, pattern string) {
	t.Helper()
	require.Eventually(t, func() bool { return regexp.MustCompile(pattern).MatchString(l.String()) },
		patience, 5*time.Millisecond, "the log never says %s", pattern)
}

// rows creates table t with that many rows.
func rows(t *testing.T, db *pgtest.Database, table string, n int) {
	t.Helper()
	db.Exec(t, "CREATE TABLE "+table+" (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO "+table+" SELECT generate_series(1, "+strconv.Itoa(n)+")")
}

func enqueue(t *testing.T, db *pgtest.Database, work, table string, batchSize int) {
	t.Helper()
	db.Exec(t, "SELECT bbm.enqueue($1, $2, name => $2, batch_size => $3)", work, table, batchSize)
}

// waitFinished waits until a migration has finished, and checks that every row
// was processed exactly once.
func waitFinished(t *testing.T, db *pgtest.Database, table string) {
	t.Helper()
	db.WaitFor(t, "SELECT status IN ('finished', 'failed') FROM bbm.batched_background_migrations WHERE name = $1", table)
	require.Equal(t, "finished", pgtest.One[string](t, db, "SELECT concat_ws(': ', status, error_message) FROM bbm.batched_background_migrations WHERE name = $1", table))
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM "+table+" WHERE n <> 1"))
}
