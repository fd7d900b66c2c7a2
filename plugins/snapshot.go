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
	opened Opened   // nil where it is not usable
	claims []string // the names of Works that it would have
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
			Name: name, Origin: Origin{Kind: KindCompiled, Path: packageOf(s.compiled[name])}, State: StateOK,
			Works: []registry.Work{s.compiled[name]}, Usable: true,
		})
	}
	for _, e := range s.entries {
		all = append(all, e.now())
	}
	return all
}

// Counts returns how many plugins of each kind are in each state, those that are
// compiled in left out. Every kind that is not, and every state, is in it, also
// with 0, so that what is exported of it does not come and go. The states changed
// and missing are those that the directory and the lock file show: what a
// database's migrations began with is not known here.
//
// It is what metrics are made of, is safe to call from any goroutine at any time
// and cheap, and keeps its meaning from one release to the next.
func (s *Snapshot) Counts() map[Kind]map[State]int {
	counts := make(map[Kind]map[State]int)
	for _, kind := range []Kind{KindSQL, KindProcess} {
		counts[kind] = make(map[State]int)
		for _, state := range States() {
			counts[kind][state] = 0
		}
	}
	for _, e := range s.entries {
		p := e.now()
		if counts[p.Origin.Kind] == nil { // of somebody else's source
			counts[p.Origin.Kind] = make(map[State]int)
		}
		counts[p.Origin.Kind][p.State]++
	}
	return counts
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
		if e.plugin.Name == name || slices.Contains(e.claims, name) || slices.ContainsFunc(e.plugin.Works, func(w registry.Work) bool { return w.Name == name }) {
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
