package registry

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
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
	length := utf8.RuneCountInString(name)
	limit := max(1, length/3)
	for _, k := range known {
		if n := utf8.RuneCountInString(k); n > length+limit || length > n+limit {
			continue // also keeps an absurdly long name cheap
		}
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d <= limit {
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

// distance returns how many characters to insert, remove, replace or swap with
// their neighbour to get from one name to the other.
func distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	rows := make([][]int, len(from)+1) // rows[i][j]: from the first i to the first j
	for i := range rows {
		rows[i] = make([]int, len(to)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(from); i++ {
		for j := 1; j <= len(to); j++ {
			replace := rows[i-1][j-1]
			if from[i-1] != to[j-1] {
				replace++
			}
			rows[i][j] = min(replace, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && from[i-1] == to[j-2] && from[i-2] == to[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(from)][len(to)]
}
