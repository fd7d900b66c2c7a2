package history

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// alembicFiles is a history of Alembic's.
type alembicFiles struct {
	dir      string
	settings AlembicSettings
	graph    *graph
}

// AlembicSettings are where a history of Alembic's was read from.
type AlembicSettings struct {
	// Config is the alembic.ini or pyproject.toml that was read, and Section
	// the section of an alembic.ini. Both are empty where there was none.
	Config, Section string
	// ScriptLocation is the directory that has env.py. Empty where the
	// revisions were in the directory itself.
	ScriptLocation string
	// VersionLocations are the directories that have the revisions.
	VersionLocations []string
	// OwnTable says that env.py names a version table, and so that it may be another than the one that Alembic has by
	// itself.
	OwnTable bool
}

// Settings returns where a history of Alembic's was read from, and false for
// one of another tool.
func Settings(f Files) (AlembicSettings, bool) {
	a, ok := f.(*alembicFiles)
	if !ok {
		return AlembicSettings{}, false
	}
	return a.settings, true
}

func (f *alembicFiles) Tool() Tool      { return Alembic }
func (f *alembicFiles) Dir() string     { return f.dir }
func (f *alembicFiles) Heads() []string { return slices.Clone(f.graph.rows) }

func (f *alembicFiles) Steps() []Step { return f.selected(func(string) bool { return true }) }

func (f *alembicFiles) selected(wanted func(id string) bool) []Step {
	var steps []Step
	for _, id := range f.graph.order {
		if wanted(id) {
			steps = append(steps, f.graph.byID[id].Step)
		}
	}
	return steps
}

func (f *alembicFiles) Until(heads []string) ([]Step, error) {
	for _, id := range heads {
		if f.graph.byID[id] == nil {
			return nil, f.notThere(id)
		}
	}
	below := f.graph.upTo(heads)
	return f.selected(func(id string) bool { return below[id] }), nil
}

func (f *alembicFiles) Stamp(ctx context.Context, tx pgx.Tx, at Place, heads []string) error {
	if _, err := f.Until(heads); err != nil {
		return fmt.Errorf("stamp Alembic: %w", err)
	}
	return Stamp(ctx, tx, Alembic, at, f.graph.above(heads))
}

func (f *alembicFiles) Compare(applied []string) Comparison {
	var c Comparison
	done := f.graph.upTo(applied)
	c.Pending = f.selected(func(id string) bool { return !done[id] })
	var known []string
	for _, id := range applied {
		if f.graph.byID[id] == nil {
			c.Unknown = append(c.Unknown, id)
			continue
		}
		known = append(known, id)
	}
	tops := f.graph.above(known)
	for _, id := range known {
		if !slices.Contains(tops, id) {
			c.Refusal = fmt.Sprintf("the table has revision %s and a later one that includes it (of %s), which Alembic refuses: delete the row %s", id, strings.Join(tops, ", "), id)
			break
		}
	}
	return c
}

// Resolve takes what the commands of Alembic take, except for what is
// relative to a database.
func (f *alembicFiles) Resolve(version string) ([]string, error) {
	words := strings.FieldsFunc(version, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
	if len(words) == 0 {
		return nil, f.notThere(version)
	}
	var ids []string
	for _, word := range words {
		found, err := f.resolve(word)
		if err != nil {
			return nil, err
		}
		if len(words) > 1 && len(found) == 0 {
			return nil, fmt.Errorf("version %q: base is not one of several: it is the end of all", version)
		}
		ids = append(ids, found...)
	}
	return f.graph.above(ids), nil
}

func (f *alembicFiles) resolve(word string) ([]string, error) {
	branch, target, onBranch := strings.Cut(word, "@")
	if !onBranch {
		branch, target = "", word
	}
	if strings.ContainsAny(target, "+-") {
		return nil, fmt.Errorf("version %q is relative to a database: name the revision, one of %s", word, enumerate(f.Steps()))
	}
	switch {
	case target == "base" && onBranch:
		return nil, fmt.Errorf("version %q: name the revision, or base alone", word)
	case target == "base":
		return nil, nil
	case target == "heads" && !onBranch:
		return f.Heads(), nil
	case target == "head" || target == "heads":
		return f.head(word, branch, target == "heads")
	}
	id, err := f.revision(word, target)
	if err != nil || !onBranch {
		return []string{id}, err
	}
	origin, err := f.revision(word, branch)
	if err == nil && !f.graph.related(id, origin) {
		err = fmt.Errorf("version %q: revision %s is not on branch %s", word, id, branch)
	}
	return []string{id}, err
}

// head returns the head of a branch, or of all: one, unless several may be.
func (f *alembicFiles) head(word, branch string, several bool) ([]string, error) {
	heads := f.graph.heads
	if branch != "" {
		origin, err := f.revision(word, branch)
		if err != nil {
			return nil, err
		}
		heads = slices.DeleteFunc(slices.Clone(heads), func(id string) bool { return !f.graph.related(id, origin) })
	}
	if len(heads) > 1 && !several {
		return nil, fmt.Errorf("version %q: there are several heads, %s: name one, or say heads for all of them, or merge them with alembic merge heads", word, strings.Join(heads, ", "))
	}
	return slices.Clone(heads), nil
}

// revision finds a revision by identifier, by branch label (which is the
// revision that declares it), or by how one of these begins.
func (f *alembicFiles) revision(word, name string) (string, error) {
	if f.graph.byID[name] != nil {
		return name, nil
	}
	if id, ok := f.graph.labels[name]; ok {
		return id, nil
	}
	var matches []Step
	for _, s := range f.Steps() {
		labelled := slices.ContainsFunc(f.graph.byID[s.Version].labels, func(l string) bool { return strings.HasPrefix(l, name) })
		if strings.HasPrefix(s.Version, name) || labelled {
			matches = append(matches, s)
		}
	}
	if name == "" || len(matches) == 0 {
		return "", f.notThere(word)
	}
	ids, err := chosen(word, matches, nil)
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

func (f *alembicFiles) notThere(version string) error {
	list := enumerate(f.Steps())
	if len(f.graph.labels) > 0 {
		var labels []string
		for label := range f.graph.labels {
			labels = append(labels, label)
		}
		slices.Sort(labels)
		list += "; branch labels " + strings.Join(labels, ", ")
	}
	return fmt.Errorf("version %q is not in the files, which have %s", version, list)
}
