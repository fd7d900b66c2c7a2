package history

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// graph are the revisions of a history and how they hang together.
type graph struct {
	order  []string // every revision after those that it needs
	byID   map[string]*revision
	labels map[string]string   // branch label: the revision that declares it
	needs  map[string][]string // down_revision and depends_on, as identifiers
	heads  []string            // no revision's down_revision
	rows   []string            // heads that nothing depends on: what the table holds
}

// newGraph joins revisions, which are in the order in which ties are broken.
func newGraph(revisions []revision) (*graph, error) {
	g := &graph{byID: map[string]*revision{}, labels: map[string]string{}, needs: map[string][]string{}}
	var problems []error
	for i := range revisions {
		r := &revisions[i]
		if twin, ok := g.byID[r.Version]; ok {
			problems = append(problems, fmt.Errorf("%s and %s are both revision %s: give one of them another, and mend what refers to it", twin.File, r.File, r.Version))
			continue
		}
		g.byID[r.Version] = r
	}
	for i := range revisions {
		problems = append(problems, g.label(&revisions[i]))
	}
	for i := range revisions {
		problems = append(problems, g.connect(&revisions[i]))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if err := g.sort(revisions); err != nil {
		return nil, err
	}
	g.findHeads()
	return g, nil
}

func (g *graph) label(r *revision) error {
	for _, label := range r.labels {
		if id, ok := g.labels[label]; ok && id != r.Version {
			return fmt.Errorf("%s: branch label %q is also that of revision %s: a label is declared once", r.File, label, id)
		}
		if _, ok := g.byID[label]; ok {
			return fmt.Errorf("%s: branch label %q is the identifier of a revision", r.File, label)
		}
		g.labels[label] = r.Version
	}
	return nil
}

func (g *graph) connect(r *revision) error {
	for _, id := range r.down {
		if g.byID[id] == nil {
			return fmt.Errorf("%s: down_revision %q is in no file: a file is missing, or version_locations lacks a directory", r.File, id)
		}
		g.needs[r.Version] = append(g.needs[r.Version], id)
	}
	for _, dependency := range r.deps {
		id := cmp.Or(g.labels[dependency], dependency)
		if g.byID[id] == nil {
			return fmt.Errorf("%s: depends_on %q is neither a revision nor a branch label", r.File, dependency)
		}
		g.needs[r.Version] = append(g.needs[r.Version], id)
	}
	return nil
}

// sort puts revisions behind what they need, otherwise as they come.
func (g *graph) sort(revisions []revision) error {
	const visiting, done = 1, 2
	state := map[string]int{}
	var path []string
	var visit func(id string) error
	visit = func(id string) error {
		switch state[id] {
		case done:
			return nil
		case visiting:
			circle := slices.Concat(path[slices.Index(path, id):], []string{id})
			return fmt.Errorf("the revisions %s need each other in a circle", strings.Join(circle, " -> "))
		}
		state[id] = visiting
		path = append(path, id)
		for _, need := range g.needs[id] {
			if err := visit(need); err != nil {
				return err
			}
		}
		path = path[:len(path)-1]
		state[id] = done
		g.order = append(g.order, id)
		return nil
	}
	for _, r := range revisions {
		if err := visit(r.Version); err != nil {
			return err
		}
	}
	return nil
}

func (g *graph) findHeads() {
	below, needed := map[string]bool{}, map[string]bool{}
	for id, needs := range g.needs {
		for _, down := range g.byID[id].down {
			below[down] = true
		}
		for _, need := range needs {
			needed[need] = true
		}
	}
	for _, id := range g.order {
		if !below[id] {
			g.heads = append(g.heads, id)
		}
		if !needed[id] {
			g.rows = append(g.rows, id)
		}
	}
	slices.Sort(g.heads)
	slices.Sort(g.rows)
}

// upTo returns these revisions and all that they need. Unknown ones are left out.
func (g *graph) upTo(ids []string) map[string]bool {
	seen := map[string]bool{}
	todo := slices.Clone(ids)
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[id] || g.byID[id] == nil {
			continue
		}
		seen[id] = true
		todo = append(todo, g.needs[id]...)
	}
	return seen
}

// above returns those of ids that no other of them needs.
func (g *graph) above(ids []string) []string {
	var tops []string
	for _, id := range ids {
		covered := slices.ContainsFunc(ids, func(other string) bool { return other != id && g.upTo([]string{other})[id] })
		if !covered && !slices.Contains(tops, id) {
			tops = append(tops, id)
		}
	}
	slices.Sort(tops)
	return tops
}

// related reports whether one of two revisions is the other's ancestor by
// down_revision, or they are the same: the lineage of a branch.
func (g *graph) related(a, b string) bool {
	return g.descends(a, b) || g.descends(b, a)
}

func (g *graph) descends(id, ancestor string) bool {
	seen := map[string]bool{}
	todo := []string{id}
	for len(todo) > 0 {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if next == ancestor {
			return true
		}
		if !seen[next] {
			seen[next] = true
			todo = append(todo, g.byID[next].down...)
		}
	}
	return false
}
