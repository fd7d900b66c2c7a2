package process

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"

	"github.com/bbmd-dev/bbmd/plugins"
)

// longestManifest is how many bytes a manifest may have.
const longestManifest = 1 << 20

// Source finds process plugins: the directories that hold a plugin.json.
type Source struct {
	options Options
	all     sync.WaitGroup // the goroutines of all programs

	mu     sync.Mutex
	opened []*Plugin
}

var _ plugins.Source = (*Source)(nil)

// NewSource returns a Source. Its [Source.Run] has to run, or be called in the
// end, for programs to be waited for.
func NewSource(o Options) *Source { return &Source{options: o.withDefaults()} }

// Kind returns plugins.KindProcess.
func (s *Source) Kind() plugins.Kind { return plugins.KindProcess }

// Scan lists the directories that hold a manifest. It runs nothing.
func (s *Source) Scan(ctx context.Context, dir *plugins.Dir) ([]plugins.Candidate, error) {
	entries, err := dir.Entries()
	if err != nil {
		return nil, err
	}
	var found []plugins.Candidate
	for _, entry := range entries {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if !entry.Directory || entry.Err != nil {
			continue
		}
		content, err := dir.Read(path.Join(entry.Name, ManifestName), longestManifest)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		candidate := plugins.Candidate{Name: entry.Name, Path: dir.Path(entry.Name), Err: err}
		if err == nil {
			s.fill(&candidate, dir, entry.Name, content)
		}
		found = append(found, candidate)
	}
	return found, nil
}

// content is what Open is told.
type content struct {
	manifest Manifest
	location location
}

// fill reads a manifest into its candidate.
func (s *Source) fill(c *plugins.Candidate, dir *plugins.Dir, name string, raw []byte) {
	m, err := ParseManifest(filepath.Join(c.Path, ManifestName), raw)
	if namePattern.MatchString(m.Name) {
		c.Name = m.Name
	}
	for _, w := range m.Works {
		c.Works = append(c.Works, w.Name)
	}
	if err == nil {
		c.Digest, err = dir.Digest(name)
	}
	var parent string
	if err == nil {
		parent, err = filepath.Abs(dir.Path("."))
	}
	c.Err = err
	c.Content = content{manifest: m, location: location{parent: parent, name: name, digest: c.Digest}}
}

// Open makes Works of a candidate. It runs nothing yet: a program is started
// for the first task. It refuses a program that is not there.
func (s *Source) Open(_ context.Context, c plugins.Candidate) (plugins.Opened, error) {
	found, ok := c.Content.(content)
	if !ok {
		return nil, errors.New("open process plugin: the candidate is not of this source")
	}
	if !found.manifest.ownProgram() {
		if _, err := lookPath(found.manifest.Command[0], environment(nil, os.LookupEnv)); err != nil {
			return nil, err
		}
	}
	p := newPlugin(found.manifest, found.location, s.options, &s.all)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened = append(slices.DeleteFunc(s.opened, (*Plugin).isClosed), p)
	return p, nil
}

// Run waits until ctx ends, closes every plugin that was opened, waits until
// their programs have ended, and returns ctx's cause. Programs end with the task
// they are at, so the executor's batches have to end as well. Nothing may be
// opened afterwards.
func (s *Source) Run(ctx context.Context) error {
	<-ctx.Done()
	s.mu.Lock()
	opened := s.opened
	s.mu.Unlock()
	for _, p := range opened {
		_ = p.Close() // it has no error
	}
	s.all.Wait()
	return context.Cause(ctx)
}
