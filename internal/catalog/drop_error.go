package catalog

import (
	"fmt"
	"strings"
)

// DropError says what cannot be dropped, in which case nothing is.
type DropError struct {
	// Role is the role that tried.
	Role     string    `json:"role"`
	Refusals []Refusal `json:"refusals"`
}

// Refusal is an object that cannot be dropped.
type Refusal struct {
	Object Object `json:"object"`
	// Reason, and what to do about it, for people.
	Reason string `json:"reason"`
}

// Error names the objects, with reasons.
func (e *DropError) Error() string {
	return fmt.Sprintf("role %s cannot drop all that is in the database: %s", quote(e.Role), listed(e.Refusals))
}

// String names the object, with the reason.
func (r Refusal) String() string { return r.Object.String() + " " + r.Reason }

// listed returns the first of many things, and how many more there are.
func listed[T any](things []T) string {
	const most = 10
	var text strings.Builder
	for i, thing := range things {
		if i == most {
			fmt.Fprintf(&text, "; and %d more", len(things)-i)
			break
		}
		if i > 0 {
			text.WriteString("; ")
		}
		fmt.Fprint(&text, thing)
	}
	return text.String()
}
