package plugins_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/plugins"
)

const patience = time.Minute

var errEnough = errors.New("enough")

// watched returns a fixture whose catalog watches, at the pace of notifications alone.
func watched(t *testing.T, change func(*plugins.Options)) *fixture {
	t.Helper()
	f := setup(t, func(o *plugins.Options) {
		o.Settle, o.Interval = 10*time.Millisecond, time.Hour
		if change != nil {
			change(o)
		}
	})
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- f.catalog.Run(ctx) }()
	t.Cleanup(func() {
		cancel(errEnough)
		require.ErrorIs(t, <-ended, errEnough)
	})
	return f
}

// until waits for a change after which ok holds.
func (f *fixture) until(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-f.changes:
		case <-deadline:
			require.Fail(t, "nothing happened", "states: %v", f.states())
		}
	}
}

func (f *fixture) has(name, content string) func() bool {
	return func() bool {
		work, err := f.catalog.Lookup(name)
		return err == nil && work.Digest == plugins.Digest([]byte(content))
	}
}

func (f *fixture) hasNot(name string) func() bool {
	return func() bool { _, err := f.catalog.Lookup(name); return err != nil }
}

func TestRunFollowsFiles(t *testing.T) {
	t.Parallel()
	f := watched(t, nil)
	f.write(t, "a.word", "one")
	f.until(t, f.has("one", "one"))
	f.write(t, "a.word", "one two")
	f.until(t, f.has("two", "one two"))
	f.write(t, ".b.tmp", "three")
	require.NoError(t, os.Rename(filepath.Join(f.dir, ".b.tmp"), filepath.Join(f.dir, "b.word")))
	f.until(t, f.has("three", "three"))
	require.NoError(t, os.Chmod(filepath.Join(f.dir, "b.word"), 0o666))
	f.until(t, f.hasNot("three"))
	require.NoError(t, os.Remove(filepath.Join(f.dir, "a.word")))
	f.until(t, f.hasNot("one"))
}

func TestRunFollowsConfigMaps(t *testing.T) {
	t.Parallel()
	f := watched(t, nil)
	for _, version := range []string{"..2026_01", "..2026_02", "..2026_03"} {
		configMap(t, f.dir, version, map[string]string{"a.word": "one " + version[2:]})
		f.until(t, f.hasNot("one")) // "2026_01" is no name of a Work
		content := "one v" + version[len(version)-1:]
		configMap(t, f.dir, version+"_fixed", map[string]string{"a.word": content})
		f.until(t, f.has("one", content))
	}
}

func TestRunFollowsTheDirectory(t *testing.T) {
	t.Parallel()
	f := watched(t, func(o *plugins.Options) {
		o.Dir = filepath.Join(o.Dir, "not", "yet")
	})
	write(t, filepath.Join(f.dir, "new", "a.word"), "one")
	require.NoError(t, os.Mkdir(filepath.Join(f.dir, "not"), 0o755))
	require.NoError(t, os.Chmod(filepath.Join(f.dir, "not"), 0o755))
	require.NoError(t, os.Rename(filepath.Join(f.dir, "new"), filepath.Join(f.dir, "not", "yet")))
	f.until(t, f.has("one", "one"))
	require.NoError(t, os.Rename(filepath.Join(f.dir, "not", "yet"), filepath.Join(f.dir, "old")))
	write(t, filepath.Join(f.dir, "new", "a.word"), "one 2nd second")
	write(t, filepath.Join(f.dir, "new", "b.word"), "two")
	require.NoError(t, os.Rename(filepath.Join(f.dir, "new"), filepath.Join(f.dir, "not", "yet")))
	f.until(t, f.has("two", "two"))
}

// A directory above the plugins' may go and come back as a whole.
func TestRunFollowsWhatLeadsToTheDirectory(t *testing.T) {
	t.Parallel()
	f := watched(t, func(o *plugins.Options) {
		o.Dir = filepath.Join(o.Dir, "above", "plugins")
	})
	for _, content := range []string{"one", "two", "three"} {
		write(t, filepath.Join(f.dir, "new", "plugins", "a.word"), content)
		require.NoError(t, os.Chmod(filepath.Join(f.dir, "new"), 0o755))
		require.NoError(t, os.Rename(filepath.Join(f.dir, "new"), filepath.Join(f.dir, "above")))
		f.until(t, f.has(content, content))
		require.NoError(t, os.Rename(filepath.Join(f.dir, "above"), filepath.Join(f.dir, "before "+content)))
	}
}

func TestRunFollowsTheLock(t *testing.T) {
	t.Parallel()
	lockFile := filepath.Join(directory(t), "plugins.lock")
	f := watched(t, func(o *plugins.Options) {
		o.LockFile, o.Policies = lockFile, map[plugins.Kind]plugins.Policy{"word": plugins.PolicyRequired}
	})
	f.write(t, "a.word", "one")
	f.until(t, func() bool { return f.states()["a"] == plugins.StateUnpinned })
	require.NoError(t, plugins.Lock{"a": {Kind: "word", Digest: plugins.Digest([]byte("one"))}}.Write(lockFile))
	f.until(t, f.has("one", "one"))
}

func TestRunLooksNowAndThen(t *testing.T) {
	t.Parallel()
	f := watched(t, func(o *plugins.Options) { o.Interval = 10 * time.Millisecond })
	f.write(t, "a.word", "one")
	f.until(t, f.has("one", "one"))
	f.words.setCrashed("one", true)
	looks := func() int {
		f.words.mu.Lock()
		defer f.words.mu.Unlock()
		return f.words.scans
	}
	before := looks()
	require.Eventually(t, func() bool { return looks() > before+2 }, patience, time.Millisecond)
	require.Equal(t, plugins.StateCrashed, f.states()["a"], "a look does not revive")
	f.write(t, "a.word", "one again")
	f.until(t, f.has("one", "one again"))
}

func TestRunWithoutDirectory(t *testing.T) {
	t.Parallel()
	f := watched(t, func(o *plugins.Options) { o.Dir = "" })
	require.Len(t, f.catalog.Works(), 1)
}
