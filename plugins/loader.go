package plugins

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bbmd-dev/bbmd/registry"
)

// loader makes one snapshot.
type loader struct {
	options *Options
	old     *Snapshot
	lock    Lock
	revive  bool            // open what crashed again
	ctx     context.Context //nolint:containedctx // it lives as long as one call
}

func (l *loader) load() (*Snapshot, error) {
	next := &Snapshot{compiled: compiledWorks(l.options.Compiled), dynamic: map[string]use{}}
	if l.options.Dir == "" {
		return next, nil
	}
	var err error
	if l.lock, err = ReadLock(l.options.LockFile); err != nil {
		return nil, err
	}
	dir, err := OpenDir(l.options.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()                   // it was only read
	found := make([][]Candidate, len(l.options.Sources)) // all before any is opened
	for i, source := range l.options.Sources {
		if found[i], err = source.Scan(l.ctx, dir); err != nil {
			return nil, fmt.Errorf("look for plugins of kind %s: %w", source.Kind(), err)
		}
	}
	for i, source := range l.options.Sources {
		for _, candidate := range found[i] {
			next.entries = append(next.entries, l.enter(source, candidate))
		}
	}
	next.entries = append(next.entries, l.missing(next.entries)...)
	slices.SortStableFunc(next.entries, func(a, b entry) int {
		return cmp.Or(strings.Compare(a.plugin.Name, b.plugin.Name), strings.Compare(a.plugin.Origin.Path, b.plugin.Origin.Path))
	})
	l.refuseSameNames(next)
	if err := l.ctx.Err(); err != nil {
		return nil, errors.Join(context.Cause(l.ctx), l.abandon(next))
	}
	return next, nil
}

// abandon closes what was opened for a snapshot that will not be used.
func (l *loader) abandon(next *Snapshot) error { return closeReplaced(next, l.old) }

// enter makes an entry of a candidate, opened if it may be used.
func (l *loader) enter(source Source, c Candidate) entry {
	kind := source.Kind()
	e := entry{
		plugin: Plugin{Name: c.Name, Origin: Origin{Kind: kind, Path: c.Path, Digest: c.Digest}},
		claims: c.Works,
		key:    key{kind: kind, name: c.Name, path: c.Path, digest: c.Digest},
	}
	if c.Err != nil {
		return e.refused(StateInvalid, c.Err.Error())
	}
	policy, ok := l.options.Policies[kind]
	if !ok {
		policy = DefaultPolicy(kind)
	}
	state, reason, usable := l.lock.judge(kind, c, policy)
	if !usable {
		return e.refused(state, reason)
	}
	if err := l.open(source, c, &e); err != nil {
		return e.refused(StateInvalid, err.Error())
	}
	e.plugin.State, e.plugin.Reason, e.plugin.Usable = state, reason, true
	return e
}

// open opens a candidate, or takes over what is open of the same content.
func (l *loader) open(source Source, c Candidate, e *entry) error {
	for _, before := range l.old.entries {
		if before.key != e.key || before.opened == nil {
			continue
		}
		if state, _ := before.opened.State(); state == StateOK || !l.revive {
			e.opened, e.plugin.Works = before.opened, before.plugin.Works
			return nil
		}
	}
	opened, err := source.Open(l.ctx, c)
	if err != nil {
		return err
	}
	works := slices.Clone(opened.Works())
	checked := registry.New() // says what is wrong, and completes
	for i := range works {
		works[i].Digest = c.Digest
	}
	if err := checked.Register(works...); err != nil {
		return errors.Join(err, opened.Close())
	}
	e.opened, e.plugin.Works = opened, checked.Works()
	return nil
}

// refused returns the entry as one that is not used.
func (e entry) refused(state State, reason string) entry {
	e.plugin.State, e.plugin.Reason, e.plugin.Usable, e.opened = state, reason, false, nil
	return e
}

// missing returns entries for what the lock file or the snapshot before knows,
// and is not there.
func (l *loader) missing(found []entry) []entry {
	known := make(map[string]bool)
	for _, e := range found {
		known[e.plugin.Name] = true
	}
	var gone []entry
	for _, before := range l.old.entries {
		if p := before.plugin; !known[p.Name] && (p.Usable || p.State == StateMissing && p.Origin.Path != "") {
			known[p.Name] = true
			gone = append(gone, entry{plugin: Plugin{Name: p.Name, Origin: p.Origin, Works: p.Works}}.
				refused(StateMissing, p.Origin.Path+" is gone: put it back, or cancel the migrations that need it"))
		}
	}
	for name, locked := range l.lock {
		policy, ok := l.options.Policies[locked.Kind]
		if known[name] || ok && policy == PolicyOff {
			continue
		}
		gone = append(gone, entry{plugin: Plugin{Name: name, Origin: Origin{Kind: locked.Kind, Digest: locked.Digest}}}.
			refused(StateMissing, "the lock file names it, and it is not in "+l.options.Dir+": put it there, or take it out of the lock file"))
	}
	return gone
}

// refuseSameNames leaves names to the Works that are compiled in, and keeps
// plugins of the same name all from being used: which of them came first says
// nothing about which is meant.
func (l *loader) refuseSameNames(next *Snapshot) {
	paths := make(map[string][]string) // by the name of a plugin or of a Work
	for _, e := range next.entries {
		for _, name := range e.names() {
			paths[name] = append(paths[name], e.plugin.Origin.Path)
		}
	}
	for i := range next.entries {
		e := &next.entries[i]
		for _, name := range e.names() {
			if _, taken := next.compiled[name]; taken && e.plugin.State != StateMissing {
				l.refuse(e, fmt.Sprintf("the Work %q is compiled into this bbmd, and keeps its name: choose another", name))
			} else if len(paths[name]) > 1 {
				l.refuse(e, fmt.Sprintf("the name %q is claimed by %s, and none of them is used: leave one", name, strings.Join(paths[name], " and ")))
			}
		}
		if e.opened == nil {
			continue
		}
		for _, work := range e.plugin.Works {
			next.dynamic[work.Name] = use{work: work, entry: i}
		}
	}
}

// refuse makes a conflict of an entry. What was opened for it alone is closed.
func (l *loader) refuse(e *entry, reason string) {
	opened := e.opened
	if e.plugin.State != StateConflict {
		*e = e.refused(StateConflict, reason)
	}
	if opened == nil {
		return
	}
	single := &Snapshot{entries: []entry{{plugin: e.plugin, opened: opened}}}
	if err := closeReplaced(single, l.old); err != nil {
		l.options.Logger.WarnContext(l.ctx, "plugin not closed", "path", e.plugin.Origin.Path, "error", err)
	}
}

// names returns the names that the plugin claims: its own and its Works', once each.
func (e entry) names() []string {
	names := []string{e.plugin.Name}
	for _, work := range e.plugin.Works {
		names = append(names, work.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
