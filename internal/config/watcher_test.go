package config_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
)

func TestWatcherFollowsWhatReplacesAFile(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, w *watched, content string){
		"written in place": func(t *testing.T, w *watched, content string) {
			t.Helper()
			writeFile(t, w.path, content)
		},
		"renamed over": func(t *testing.T, w *watched, content string) {
			t.Helper()
			writeFile(t, w.path+".new", content)
			rename(t, w.path+".new", w.path)
		},
		"moved away and written anew": func(t *testing.T, w *watched, content string) {
			t.Helper()
			rename(t, w.path, w.path+"~")
			writeFile(t, w.path, content)
		},
		"removed and written anew": func(t *testing.T, w *watched, content string) {
			t.Helper()
			require.NoError(t, os.Remove(w.path))
			writeFile(t, w.path, content)
		},
		"its directory removed and made anew": func(t *testing.T, w *watched, content string) {
			t.Helper()
			require.NoError(t, os.RemoveAll(w.dir))
			require.NoError(t, os.Mkdir(w.dir, 0o700))
			writeFile(t, w.path, content)
		},
		"its directory replaced": func(t *testing.T, w *watched, content string) {
			t.Helper()
			require.NoError(t, os.RemoveAll(w.dir+".old"))
			require.NoError(t, os.Mkdir(w.dir+".new", 0o700))
			writeFile(t, filepath.Join(w.dir+".new", "bbmd.yaml"), content)
			rename(t, w.dir, w.dir+".old")
			rename(t, w.dir+".new", w.dir)
		},
	}
	for name, replace := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t, fileIn(t, workers(1)))
			for n := 2; n < 5; n++ {
				replace(t, w, workers(n))
				w.wantWorkers(t, n)
			}
		})
	}
}

func TestWatcherFollowsAConfigMap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	version := func(n int) {
		name := fmt.Sprintf("..2026_%d", n)
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		writeFile(t, filepath.Join(dir, name, "bbmd.yaml"), workers(n))
		require.NoError(t, os.Symlink(name, filepath.Join(dir, "..data_tmp")))
		rename(t, filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data"))
		require.NoError(t, os.RemoveAll(filepath.Join(dir, fmt.Sprintf("..2026_%d", n-1))))
	}
	version(1)
	path := filepath.Join(dir, "bbmd.yaml")
	require.NoError(t, os.Symlink("..data/bbmd.yaml", path))
	w := watch(t, config.Sources{File: path, Environ: []string{}})
	for n := 2; n < 6; n++ {
		version(n)
		w.wantChange(t, n)
	}
	require.Empty(t, w.errors)
}

func TestWatcherFollowsSymlinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for n, name := range []string{"one", "two"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		writeFile(t, filepath.Join(dir, name, "real.yaml"), workers(n+1))
	}
	link := func(target, name string) {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, "new")))
		rename(t, filepath.Join(dir, "new"), filepath.Join(dir, name))
	}
	link("one", "current") // a directory on the way
	link(filepath.Join(dir, "current", "real.yaml"), "bbmd.yaml")
	w := watch(t, config.Sources{File: filepath.Join(dir, "bbmd.yaml"), Environ: []string{}})
	link("two", "current")
	w.wantChange(t, 2)
	writeFile(t, filepath.Join(dir, "two", "real.yaml.new"), workers(3))
	rename(t, filepath.Join(dir, "two", "real.yaml.new"), filepath.Join(dir, "two", "real.yaml"))
	w.wantChange(t, 3)
	link("one", "current")
	w.wantChange(t, 1)
}

func TestWatcherKeepsTheOldOnError(t *testing.T) {
	t.Parallel()
	w := watch(t, fileIn(t, workers(1)))
	replace := func(content string) {
		writeFile(t, w.path+".new", content)
		rename(t, w.path+".new", w.path)
	}
	replace(workers(0))
	w.wantError(t, "reload configuration, the old one stays in force: background_migrations.workers")
	replace("a: b")
	w.wantError(t, "there is no such key")
	replace(workers(1))
	w.wantChange(t, 1) // nothing differs from what is in force, and the trouble is over
	require.NoError(t, os.Remove(w.path))
	w.wantError(t, "there is no such file")
	replace(workers(2))
	w.wantChange(t, 2)
	require.NoError(t, os.RemoveAll(w.dir))
	w.wantError(t, "there is no such file")
	require.NoError(t, os.Mkdir(w.dir, 0o700))
	replace(workers(3))
	w.wantChange(t, 3)
}

func TestWatcherDecidesByContent(t *testing.T) {
	t.Parallel()
	w := watch(t, fileIn(t, workers(1)))
	replace := func(content string) {
		writeFile(t, w.path+".new", content)
		rename(t, w.path+".new", w.path)
	}
	replace(workers(1))                   // the same bytes
	replace("# a comment\n" + workers(1)) // the same values
	require.NoError(t, os.Chtimes(w.path, time.Now(), time.Now()))
	writeFile(t, filepath.Join(w.dir, "other.yaml"), "x")
	replace(workers(2))
	w.wantChange(t, 2)
	require.Empty(t, w.changes)
	require.Empty(t, w.errors)
}

func TestWatcherWaitsForTheWholeFile(t *testing.T) {
	t.Parallel()
	sources := fileIn(t, workers(1))
	cfg, err := config.Load(sources)
	require.NoError(t, err)
	var changes []int
	w := config.NewWatcher(cfg, sources, config.WatcherOptions{
		OnChange: func(_ context.Context, cfg config.Config) {
			changes = append(changes, cfg.BackgroundMigrations.Workers)
		},
	})
	defer w.Close()
	ctx := t.Context()
	writeFile(t, sources.File, "databases: {default: {url: host=h}}\n") // valid, and half of it
	w.Look(ctx)
	require.Empty(t, changes)
	writeFile(t, sources.File, workers(3))
	w.Settled(ctx)
	require.Empty(t, changes, "it has changed since")
	w.Settled(ctx)
	require.Equal(t, []int{3}, changes)
	w.Look(ctx)
	w.Settled(ctx)
	require.Equal(t, []int{3}, changes)
}

func TestWatcherKeepsToItsFile(t *testing.T) {
	t.Parallel()
	first, second := filepath.Join(t.TempDir(), "bbmd.yaml"), filepath.Join(t.TempDir(), "bbmd.yaml")
	writeFile(t, first, workers(1))
	writeFile(t, second, workers(2))
	w := watch(t, config.Sources{Search: []string{first, second}, Environ: []string{}})
	require.NoError(t, os.Remove(first))
	w.wantError(t, "there is no such file")
	writeFile(t, first+".new", workers(3))
	rename(t, first+".new", first)
	w.wantChange(t, 3)
}

func TestWatcherSeesWhatChangedBeforeItRan(t *testing.T) {
	t.Parallel()
	sources := fileIn(t, workers(1))
	cfg, err := config.Load(sources)
	require.NoError(t, err)
	writeFile(t, sources.File, workers(2))
	w := &watched{changes: make(chan int, 1)}
	w.Watcher = config.NewWatcher(cfg, sources, config.WatcherOptions{
		OnChange: func(_ context.Context, cfg config.Config) { w.changes <- cfg.BackgroundMigrations.Workers },
	})
	w.run(t)
	w.wantChange(t, 2)
}

func TestWatcherReloads(t *testing.T) {
	t.Parallel()
	sources := fileIn(t, workers(1))
	w := watch(t, sources)
	w.Reload()
	w.wantChange(t, 1) // whoever asks is answered
	writeFile(t, w.path+".new", "nonsense")
	rename(t, w.path+".new", w.path)
	w.wantError(t, "it is not valid YAML")
	w.Reload()
	w.wantError(t, "it is not valid YAML")
}

func TestWatcherReloadFindsAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bbmd.yaml")
	w := watch(t, config.Sources{Search: []string{path}, Environ: []string{"DATABASE_URL=host=h"}})
	w.Reload()
	w.wantChange(t, 2)
	writeFile(t, path, workers(3))
	w.Reload()
	w.wantChange(t, 3)
	writeFile(t, path+".new", workers(4))
	rename(t, path+".new", path)
	w.wantChange(t, 4) // it is watched from now on
}
