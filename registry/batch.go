package registry

import (
	"encoding/json"
)

// Batch is one job's range of keys: those greater than After (or equal to it,
// when First is set) and not greater than End.
type Batch struct {
	Migration string          // unique name of the migration
	Table     string          // schema-qualified and quoted, ready for SQL
	Key       Key             // the key the range is about
	Arguments json.RawMessage // a JSON object, validated; never nil

	First bool   // the range starts at the migration's smallest key, which After holds
	After string // exclusive lower bound, inclusive for the first batch; rendered, see Key
	Start string // the first key in range, for BETWEEN; a single-column key only
	End   string // inclusive upper bound; rendered, see Key

	Size    int // how many keys the range was cut for
	Attempt int // 1 for the first
}

// Where renders the batch's exact range as an SQL condition on the given
// columns, by default the key's own, with the placeholders $1, $2, … for [Batch.Args].
// The text depends only on First, so that a prepared statement is reused:
//
//	tx.Exec(ctx, "UPDATE users SET email_norm = lower(email) WHERE "+b.Where("id"), b.Args()...)
//
// Parameters of your own follow at $n, n = len(b.Args()) + 1.
func (b Batch) Where(columns ...string) string { panic("todo") }

// Args returns the values for the placeholders of [Batch.Where].
func (b Batch) Args() []any { panic("todo") }
