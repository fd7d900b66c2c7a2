package process_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/notify"
	"github.com/bbmd-dev/bbmd/plugins"
	"github.com/bbmd-dev/bbmd/plugins/process"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

var errOver = errors.New("the test is over")

// patience is how long a test waits for what has to happen.
const patience = 2 * time.Minute

// house is a source of plugins that lives as long as the test.
type house struct {
	*process.Source

	t       *testing.T
	dir     string
	end     func() // closes all plugins and waits for their programs
	crashes atomic.Int64
	starts  atomic.Int64
	givenUp atomic.Int64
}

func newHouse(t *testing.T, change func(*process.Options)) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir()}
	require.NoError(t, os.Chmod(h.dir, 0o755))
	o := process.Options{
		Logger:       slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
		StartTimeout: patience,
		Backoff:      time.Millisecond,
		MaxBackoff:   10 * time.Millisecond,
		Count:        h.count,
	}
	if change != nil {
		change(&o)
	}
	h.Source = process.NewSource(o)
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	h.end = func() {
		cancel(errOver)
		select {
		case err := <-ended:
			require.ErrorIs(t, err, errOver)
			ended <- err
		case <-time.After(patience):
			t.Error("programs do not end")
		}
	}
	t.Cleanup(h.end)
	return h
}

func (h *house) count(_, event string) {
	switch event {
	case process.EventCrash:
		h.crashes.Add(1)
	case process.EventStart:
		h.starts.Add(1)
	case process.EventGivenUp:
		h.givenUp.Add(1)
	}
}

// manifest is a plugin.json, as a test writes it.
type manifest map[string]any

// own returns the manifest of a program that is this test's binary.
func own(t *testing.T, name, mode string, args []string, works ...manifest) manifest {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return manifest{
		"protocol": 1, "name": name, "version": "1",
		"command": append([]string{self, childFlag + mode}, args...), "works": works,
	}
}

// write makes a plugin of a manifest.
func (h *house) write(name string, m manifest) {
	h.t.Helper()
	raw, err := json.Marshal(m)
	require.NoError(h.t, err)
	require.NoError(h.t, os.MkdirAll(filepath.Join(h.dir, name), 0o755))
	require.NoError(h.t, os.WriteFile(filepath.Join(h.dir, name, process.ManifestName), raw, 0o644))
}

// open opens the plugins that were written, by name.
func (h *house) open() map[string]plugins.Opened {
	h.t.Helper()
	dir, err := plugins.OpenDir(h.dir)
	require.NoError(h.t, err)
	defer func() { require.NoError(h.t, dir.Close()) }()
	found, err := h.Scan(h.t.Context(), dir)
	require.NoError(h.t, err)
	opened := map[string]plugins.Opened{}
	for _, c := range found {
		require.NoError(h.t, c.Err)
		opened[c.Name], err = h.Open(h.t.Context(), c)
		require.NoError(h.t, err)
	}
	return opened
}

// child returns a plugin whose program behaves as mode says, with the Work bump.
func (h *house) child(mode string, args ...string) plugins.Opened {
	h.t.Helper()
	h.write("child", own(h.t, "child", mode, args, manifest{"name": "bump", "timeout": "1h"}))
	return h.open()["child"]
}

// workOf returns the plugin's Work of that name.
func workOf(t *testing.T, p plugins.Opened, name string) registry.Work {
	t.Helper()
	for _, w := range p.Works() {
		if w.Name == name {
			return w
		}
	}
	require.FailNow(t, "the plugin has no Work of that name", name)
	return registry.Work{}
}

// table makes a table of so many rows that count how often they were processed.
func table(t *testing.T, db *pgtest.Database, name string, rows int) {
	t.Helper()
	db.Exec(t, "CREATE TABLE "+name+" (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0)")
	db.Exec(t, "INSERT INTO "+name+" SELECT i FROM generate_series(1, $1::int) i", rows)
}

// whole is the one batch of table t, which has three rows.
func whole() registry.Batch {
	return registry.Batch{
		Migration: "m", Table: "t", Key: registry.Key{{Name: "id", Type: "bigint"}}, Arguments: json.RawMessage("{}"),
		First: true, After: "1", Start: "1", End: "3", Size: 100, Attempt: 1,
	}
}

// run runs a batch as an executor would.
func run(ctx context.Context, t *testing.T, conn *pgx.Conn, w registry.Work, b registry.Batch) error {
	t.Helper()
	tx, err := conn.Begin(context.WithoutCancel(ctx))
	require.NoError(t, err)
	if _, err = w.Run(ctx, tx, b); err != nil {
		require.NoError(t, tx.Rollback(context.WithoutCancel(ctx)))
		return err
	}
	return tx.Commit(ctx)
}

// execute runs an executor that has the Works until the test ends.
func execute(t *testing.T, db *pgtest.Database, works ...registry.Work) {
	t.Helper()
	known := registry.New()
	require.NoError(t, known.Register(works...))
	settings := executor.DefaultSettings()
	settings.TargetDuration = 0
	settings.Workers = 4
	settings.ShutdownGrace = 100 * time.Millisecond
	run := executor.New(executor.Options{
		Database: "test", Pool: db.Pool(t), Store: control.NewStore(""), Registry: known, Settings: settings,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Connect: func(ctx context.Context, application string) (*pgx.Conn, error) {
			config, err := pgx.ParseConfig(db.URL)
			if err != nil {
				return nil, err
			}
			config.RuntimeParams["application_name"] = application
			return pgx.ConnectConfig(ctx, config)
		},
	})
	listener, err := notify.NewListener(notify.ListenerConfig{URL: db.URL})
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	listening, running := make(chan error, 1), make(chan error, 1)
	go func() {
		listening <- listener.Run(ctx, func(e notify.Event) {
			if e.Channel != notify.ChannelProgress {
				run.Wake()
			}
		})
	}()
	go func() { running <- run.Run(ctx) }()
	t.Cleanup(func() {
		cancel(errOver)
		require.ErrorIs(t, <-running, errOver)
		require.ErrorIs(t, <-listening, errOver)
	})
}

// enqueue makes a migration with batches of that size.
func enqueue(t *testing.T, db *pgtest.Database, work, table, arguments string, size, parallelism int32) {
	t.Helper()
	_, err := control.NewStore("").Enqueue(t.Context(), db.Pool(t), control.Request{
		Work: work, Table: table, Arguments: []byte(arguments), Name: "m_" + table, BatchSize: &size, Parallelism: &parallelism,
	})
	require.NoError(t, err)
}

// finished waits until a table's migration is over, and demands that it is finished.
func finished(t *testing.T, db *pgtest.Database, table string) {
	t.Helper()
	conn, deadline := db.Conn(t), time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var status, reason string
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT status, coalesce(error_message, status_reason, '')
			FROM bbm.batched_background_migrations WHERE name = 'm_' || $1`, table).Scan(&status, &reason))
		if status == control.StatusFinished {
			return
		}
		require.NotContains(t, []string{"failed", "cancelled"}, status, reason)
		select {
		case <-tick.C:
		case <-deadline.C:
			require.FailNow(t, "the migration does not finish", "%s: %s", status, reason)
		}
	}
}
