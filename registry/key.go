package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Column is one column of a key.
type Column struct {
	Name string // unquoted
	Type string // as format_type prints it, for example "bigint" or "uuid"
}

// Key is the list of columns that a migration's batches walk along, in index
// order. A key value is rendered as text: of a single column PostgreSQL's own
// output, of several columns a JSON array of those outputs, as
// jsonb_build_array(a::text, b::text)::text prints it. Rendered keys are only
// ever compared in SQL, as the columns' own types.
type Key []Column

// Values splits a rendered key into the texts of its columns.
func (k Key) Values(rendered string) ([]string, error) {
	switch len(k) {
	case 0:
		return nil, errors.New("key has no columns")
	case 1:
		return []string{rendered}, nil
	}
	var texts []*string
	if err := json.Unmarshal([]byte(rendered), &texts); err != nil || len(texts) != len(k) {
		return nil, fmt.Errorf("key %q is not a JSON array of %d texts", rendered, len(k))
	}
	values := make([]string, len(texts))
	for i, text := range texts {
		if text == nil {
			return nil, fmt.Errorf("key %q has no value for column %q", rendered, k[i].Name)
		}
		values[i] = *text
	}
	return values, nil
}

// within renders the condition that columns lie in a batch's range. Its
// parameters are the texts of the lower bound, then those of the upper bound.
// Several columns are compared as rows, which a btree index on them can do.
func (k Key) within(columns []string, inclusive bool) string {
	lower, upper := make([]string, len(k)), make([]string, len(k))
	for i := range k {
		lower[i] = k.parameter(i, i+1)
		upper[i] = k.parameter(i, len(k)+i+1)
	}
	above := " > "
	if inclusive {
		above = " >= "
	}
	return "(" + tuple(columns) + above + tuple(lower) + " AND " + tuple(columns) + " <= " + tuple(upper) + ")"
}

// parameter renders $number cast to the type of the i-th column.
func (k Key) parameter(i, number int) string {
	return "$" + strconv.Itoa(number) + "::" + k[i].Type
}

// quoted returns the columns' names, ready for SQL, with prefix before each.
func (k Key) quoted(prefix string) []string {
	names := k.names()
	for i, name := range names {
		names[i] = prefix + pgx.Identifier{name}.Sanitize()
	}
	return names
}

func (k Key) names() []string {
	names := make([]string, len(k))
	for i, column := range k {
		names[i] = column.Name
	}
	return names
}

// tuple renders columns or parameters as one SQL value: a row for several.
func tuple(items []string) string {
	if len(items) == 1 {
		return items[0]
	}
	return "(" + strings.Join(items, ", ") + ")"
}
