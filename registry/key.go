package registry

import (
	"encoding/json"
	"fmt"
	"strings"
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
	if len(k) == 1 {
		return []string{rendered}, nil
	}
	var values []string
	if err := json.Unmarshal([]byte(rendered), &values); err != nil || len(values) != len(k) {
		return nil, fmt.Errorf("key %q is not a JSON array of %d texts", rendered, len(k))
	}
	return values, nil
}

// tuple renders columns or parameters as one SQL value: a row for several.
func tuple(items []string) string {
	if len(items) == 1 {
		return items[0]
	}
	return "(" + strings.Join(items, ", ") + ")"
}
