package plugins_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/bbmd-dev/bbmd/plugins"
	"github.com/bbmd-dev/bbmd/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// directory returns a directory that passes the checks whatever the umask is.
func directory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

// write writes a file, and the directories above it, all with safe modes.
func write(t *testing.T, path, content string) {
	t.Helper()
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.Chmod(filepath.Dir(path), 0o755))
	}
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	require.NoError(t, os.Chmod(path, 0o644))
}

// words is a source of plugins whose content is the names of their Works.
// "broken" is not valid, "stuck" does not open.
type words struct {
	kind plugins.Kind

	mu     sync.Mutex
	opened map[string]int // by digest, how often
	closed map[string]int
	crash  map[string]bool // by digest
	scans  int
}

func newWords(kind plugins.Kind) *words {
	return &words{kind: kind, opened: map[string]int{}, closed: map[string]int{}, crash: map[string]bool{}}
}

func (w *words) Kind() plugins.Kind { return w.kind }

func (w *words) Scan(_ context.Context, dir *plugins.Dir) ([]plugins.Candidate, error) {
	w.mu.Lock()
	w.scans++
	w.mu.Unlock()
	entries, err := dir.Entries()
	var found []plugins.Candidate
	for _, entry := range entries {
		if filepath.Ext(entry.Name) != "."+string(w.kind) {
			continue
		}
		c := plugins.Candidate{Name: strings.TrimSuffix(entry.Name, filepath.Ext(entry.Name)), Path: dir.Path(entry.Name), Err: entry.Err}
		if c.Err == nil {
			var content []byte
			if content, c.Err = dir.Read(entry.Name, 100); c.Err == nil {
				c.Digest, c.Content = plugins.Digest(content), strings.Fields(string(content))
			}
			if strings.Contains(string(content), "broken") {
				c.Err = errors.New("it is broken")
			}
		}
		found = append(found, c)
	}
	return found, err
}

func (w *words) Open(_ context.Context, c plugins.Candidate) (plugins.Opened, error) {
	names, ok := c.Content.([]string)
	if !ok || len(names) > 0 && names[0] == "stuck" {
		return nil, errors.New("it does not open")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opened[c.Digest]++
	return &word{source: w, digest: c.Digest, names: names}, nil
}

type word struct {
	source *words
	digest string
	names  []string
}

func (o *word) Works() []registry.Work {
	var works []registry.Work
	for _, name := range o.names {
		works = append(works, registry.Work{Name: name, Run: nothing})
	}
	return works
}

func (o *word) State() (plugins.State, string) {
	o.source.mu.Lock()
	defer o.source.mu.Unlock()
	if o.source.crash[o.digest] {
		return plugins.StateCrashed, "it ended five times: see the log"
	}
	return plugins.StateOK, ""
}

func (o *word) Close() error {
	o.source.mu.Lock()
	defer o.source.mu.Unlock()
	o.source.closed[o.digest]++
	return nil
}

func (w *words) counts(content string) (opened, closed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	digest := plugins.Digest([]byte(content))
	return w.opened[digest], w.closed[digest]
}

func (w *words) setCrashed(content string, crashed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.crash[plugins.Digest([]byte(content))] = crashed
}

func nothing(context.Context, pgx.Tx, registry.Batch) (registry.Result, error) {
	return registry.Result{}, nil
}

// fixture is a catalog over a directory.
type fixture struct {
	dir     string
	words   *words
	catalog *plugins.Catalog
	changes chan struct{}
}

func setup(t *testing.T, change func(*plugins.Options)) *fixture {
	t.Helper()
	f := &fixture{dir: directory(t), words: newWords("word"), changes: make(chan struct{}, 100)}
	compiled := registry.New()
	require.NoError(t, compiled.Register(registry.Work{Name: "copy_column", Run: nothing}))
	options := plugins.Options{
		Compiled: compiled, Dir: f.dir, Sources: []plugins.Source{f.words}, Logger: slog.New(slog.DiscardHandler),
		Policies: map[plugins.Kind]plugins.Policy{"word": plugins.PolicyOff},
		OnChange: func(context.Context) { f.changes <- struct{}{} },
	}
	if change != nil {
		change(&options)
	}
	f.catalog = plugins.New(options)
	t.Cleanup(func() { require.NoError(t, f.catalog.Close()) })
	return f
}

func (f *fixture) write(t *testing.T, name, content string) {
	t.Helper()
	write(t, filepath.Join(f.dir, name), content)
}

func (f *fixture) reload(t *testing.T) {
	t.Helper()
	require.NoError(t, f.catalog.Reload(t.Context()))
}

// states returns the states of the plugins that are not compiled in, by name.
func (f *fixture) states() map[string]plugins.State {
	states := map[string]plugins.State{}
	for _, p := range f.catalog.Snapshot().Plugins() {
		if p.Origin.Kind != plugins.KindCompiled {
			states[p.Name] = p.State
		}
	}
	return states
}

func (f *fixture) reason(name string) string {
	for _, p := range f.catalog.Snapshot().Plugins() {
		if p.Name == name && p.Reason != "" {
			return p.Reason
		}
	}
	return ""
}
