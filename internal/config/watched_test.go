package config_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
)

// patience bounds every wait; nothing that works takes anywhere near as long.
const patience = time.Minute

// settle is short: only a test of its own needs more.
const settle = 5 * time.Millisecond

// workers is a configuration that can be told from others.
func workers(n int) string {
	return fmt.Sprintf("databases: {default: {url: host=h}}\nbackground_migrations: {workers: %d}\n", n)
}

// watched is a running Watcher and what it reports.
type watched struct {
	*config.Watcher
	dir     string
	path    string
	changes chan int // workers
	errors  chan error
}

// watch loads path, which content is in, and watches it.
func watch(t *testing.T, sources config.Sources) *watched {
	t.Helper()
	cfg, err := config.Load(sources)
	require.NoError(t, err)
	w := &watched{path: sources.File, dir: filepath.Dir(sources.File), changes: make(chan int, 100), errors: make(chan error, 100)}
	w.Watcher = config.NewWatcher(cfg, sources, config.WatcherOptions{
		OnChange: func(_ context.Context, cfg config.Config) { w.changes <- cfg.BackgroundMigrations.Workers },
		OnError:  func(_ context.Context, err error) { w.errors <- err },
		Settle:   settle,
	})
	w.run(t)
	return w
}

func (w *watched) run(t *testing.T) {
	t.Helper()
	errStop := errors.New("the test is over")
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel(errStop)
		require.ErrorIs(t, <-done, errStop)
	})
}

func (w *watched) wantChange(t *testing.T, n int) {
	t.Helper()
	select {
	case got := <-w.changes:
		require.Equal(t, n, got)
	case err := <-w.errors:
		t.Fatalf("an error instead of a change: %v", err)
	case <-time.After(patience):
		t.Fatal("no change reported")
	}
}

// wantWorkers waits until n is in force, whatever was reported on the way: a
// slow machine may see that the file is gone for a moment, or is half there.
func (w *watched) wantWorkers(t *testing.T, n int) {
	t.Helper()
	for deadline := time.After(patience); ; {
		select {
		case got := <-w.changes:
			if got == n {
				return
			}
		case err := <-w.errors:
			t.Log("on the way:", err)
		case <-deadline:
			t.Fatal("no change reported")
		}
	}
}

func (w *watched) wantError(t *testing.T, text string) {
	t.Helper()
	select {
	case err := <-w.errors:
		require.ErrorContains(t, err, text)
	case got := <-w.changes:
		t.Fatalf("a change instead of an error: %d workers", got)
	case <-time.After(patience):
		t.Fatal("no error reported")
	}
}

// fileIn makes a file in a directory of its own, and sources that name it.
func fileIn(t *testing.T, content string) config.Sources {
	t.Helper()
	path := filepath.Join(t.TempDir(), "etc", "bbmd.yaml")
	require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
	writeFile(t, path, content)
	return config.Sources{File: path, Environ: []string{}}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, os.Rename(from, to))
}
