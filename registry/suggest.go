package registry

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Suggestion returns `, did you mean "x"?` with the known names that are close
// to name, the closest first and at most three, or "" if none is. It ends a
// message about a name that is not known.
func Suggestion(name string, known []string) string {
	type candidate struct {
		name     string
		distance int
	}
	var near []candidate
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d <= max(1, len(name)/3) {
			near = append(near, candidate{name: k, distance: d})
		}
	}
	slices.SortFunc(near, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), strings.Compare(a.name, b.name))
	})
	var names []string
	for _, c := range near[:min(3, len(near))] {
		names = append(names, fmt.Sprintf("%q", c.name))
	}
	if len(names) == 0 {
		return ""
	}
	return ", did you mean " + strings.Join(names, " or ") + "?"
}

// distance returns Levenshtein's distance of two names: how many characters to
// insert, remove or replace to get from one to the other.
func distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i, r := range from {
		diagonal := row[0]
		row[0] = i + 1
		for j, s := range to {
			replace := diagonal
			if r != s {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(to)]
}
