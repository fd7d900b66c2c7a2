package config

import (
	"slices"
	"strings"
)

// unknown notes a key that does not exist.
func (l *loader) unknown(path []string, origin Origin) {
	section, name := generic(path[:len(path)-1]), path[len(path)-1]
	known := l.schema.children(section)
	slices.Sort(known)
	hint := "known here: " + strings.Join(known, ", ")
	switch {
	case strings.Contains(name, "."):
		hint = "nest the key instead of joining it with dots"
	case section == "databases":
		hint = "known for a database: " + strings.Join(l.schema.children(join(section, anyDatabase)), ", ")
	default:
		if near := nearest(name, known); near != "" {
			hint = "did you mean " + near + "?"
		}
	}
	l.problem(quotePath(path), origin, refuse("there is no such key", hint))
}

// quotePath renders a path whose names are not known to be harmless.
func quotePath(path []string) string {
	names := slices.Clone(path)
	for i, name := range names {
		if !plainWord.MatchString(name) {
			names[i] = "(a key that is not shown)"
		}
	}
	return strings.Join(names, ".")
}

// nearest returns the candidate that is at most two edits away from name.
func nearest(name string, candidates []string) string {
	best, least := "", 3
	for _, candidate := range candidates {
		if edits := distance(name, candidate); edits < least {
			best, least = candidate, edits
		}
	}
	return best
}

// distance is the number of inserted, removed or replaced bytes between a and
// b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			row[j+1] = min(replace, above+1, row[j]+1)
			diagonal = above
		}
	}
	return row[len(b)]
}

// example shows how a section is written.
func example(s schema, section string) string {
	_, name := cutLast(section)
	if section == "databases" {
		return "databases: {default: {url: …}}"
	}
	children := s.children(section)
	slices.Sort(children)
	return strings.Replace(name, anyDatabase, "name", 1) + ": {" + strings.Join(children, ": …, ") + ": …}"
}
