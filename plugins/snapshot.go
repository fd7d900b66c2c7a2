package plugins

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bbmd-dev/bbmd/registry"
)

// Snapshot is what a [Catalog] held at one time: the Works that are compiled in
// and those of plugins. It does not change, but for a program that crashes.
type Snapshot struct {
	compiled map[string]registry.Work
	dynamic  map[string]use // by the name of the Work
	entries  []entry        // sorted by name, compiled ones not among them
}

// use is a Work of a plugin.
type use struct {
	work  registry.Work
	entry int
}

// entry is a plugin in a snapshot.
type entry struct {
	plugin Plugin
	opened Opened // nil where it is not usable
	key    key
}

// key tells apart contents: what has the same one is not opened again.
type key struct {
	kind               Kind
	name, path, digest string
}

// Plugins returns all plugins, sorted by name: first the Works that are compiled
// in, a plugin each.
func (s *Snapshot) Plugins() []Plugin {
	all := make([]Plugin, 0, len(s.compiled)+len(s.entries))
	for _, name := range slices.Sorted(maps.Keys(s.compiled)) {
		all = append(all, Plugin{
			Name: name, Origin: Origin{Kind: KindCompiled}, State: StateOK,
			Works: []registry.Work{s.compiled[name]}, Usable: true,
		})
	}
	for _, e := range s.entries {
		all = append(all, e.now())
	}
	return all
}

// now returns the plugin as it is at the moment.
func (e entry) now() Plugin {
	p := e.plugin
	if e.opened == nil {
		return p
	}
	if state, reason := e.opened.State(); state != StateOK {
		p.State, p.Reason, p.Usable = state, reason, false
	}
	return p
}

// Works returns all Works that can be looked up, sorted by name.
func (s *Snapshot) Works() []registry.Work {
	works := slices.Collect(maps.Values(s.compiled))
	for _, u := range s.dynamic {
		if s.entries[u.entry].now().Usable {
			works = append(works, u.work)
		}
	}
	slices.SortFunc(works, func(a, b registry.Work) int { return strings.Compare(a.Name, b.Name) })
	return works
}

// Lookup returns the Work of that name, or an error that wraps
// [registry.ErrUnknownWork]: it says what keeps a plugin that has the name from
// being used, or lists the names that are close.
func (s *Snapshot) Lookup(name string) (registry.Work, error) {
	if work, ok := s.compiled[name]; ok {
		return work, nil
	}
	if u, ok := s.dynamic[name]; ok {
		p := s.entries[u.entry].now()
		if p.Usable {
			return u.work, nil
		}
		return registry.Work{}, unusable(name, p)
	}
	for _, e := range s.entries {
		if e.plugin.Name == name || slices.ContainsFunc(e.plugin.Works, func(w registry.Work) bool { return w.Name == name }) {
			return registry.Work{}, unusable(name, e.now())
		}
	}
	known := slices.AppendSeq(slices.Collect(maps.Keys(s.compiled)), maps.Keys(s.dynamic))
	return registry.Work{}, fmt.Errorf("%w %q%s: the migration waits until a bbmd that has it runs",
		registry.ErrUnknownWork, name, registry.Suggestion(name, known))
}

func unusable(name string, p Plugin) error {
	return fmt.Errorf("%w %q: its plugin %s is in the state %s: %s", registry.ErrUnknownWork, name, p.Origin.Path, p.State, p.Reason)
}
