package await

import (
	"fmt"
	"strings"
)

// Kind is a kind of [Goal].
type Kind string

// The kinds.
const (
	Schema    Kind = "schema"    // the schema is where the files say, or further
	Version   Kind = "version"   // a version is applied, or a later one
	Migration Kind = "migration" // a background migration has finished
	All       Kind = "all"       // the schema, and every background migration there is
)

// Goal is what is waited for.
type Goal struct {
	Kind Kind
	Name string // the version, or the migration; empty for the others
}

// String is what [ParseGoal] understands.
func (g Goal) String() string {
	if g.Name == "" {
		return string(g.Kind)
	}
	return string(g.Kind) + "=" + g.Name
}

// ParseGoal reads schema, all, version=VERSION or migration=NAME.
func ParseGoal(text string) (Goal, error) {
	kind, name, named := strings.Cut(text, "=")
	g := Goal{Kind: Kind(kind), Name: strings.TrimSpace(name)}
	switch {
	case (g.Kind == Schema || g.Kind == All) && !named:
		return g, nil
	case (g.Kind == Version || g.Kind == Migration) && g.Name != "":
		return g, nil
	default:
		return Goal{}, fmt.Errorf("%q cannot be waited for: it is schema, all, version=VERSION or migration=NAME", text)
	}
}

// ParseGoals reads several; none are the schema.
func ParseGoals(texts []string) ([]Goal, error) {
	if len(texts) == 0 {
		return []Goal{{Kind: Schema}}, nil
	}
	goals := make([]Goal, 0, len(texts))
	for _, text := range texts {
		g, err := ParseGoal(text)
		if err != nil {
			return nil, err
		}
		goals = append(goals, g)
	}
	return goals, nil
}
