package registry

import (
	"encoding/json"
	"fmt"
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

	// Rows holds the physical addresses of the batch's rows, locked, as the text of
	// a tid[]: with the strategy "null", whose batches have no range of keys. Empty otherwise.
	Rows string

	Size    int // how many keys the range was cut for
	Attempt int // 1 for the first
}

// Where renders the batch's exact range as an SQL condition on the given
// columns, by default the key's own, with the placeholders $1, $2, … for [Batch.Args].
// The text depends only on First, so that a prepared statement is reused:
//
//	tx.Exec(ctx, "UPDATE users SET email_norm = lower(email) WHERE "+b.Where("id"), b.Args()...)
//
// Parameters of your own follow at $n, n = len(b.Args()) + 1. The columns are
// SQL: qualify and quote them as needed ("u.id"). Where panics when their
// number is not that of the key's columns. With the strategy "null" the one
// column is ctid, and the condition names the batch's rows.
func (b Batch) Where(columns ...string) string {
	if b.Rows != "" {
		return addressed(append(columns, "ctid")[0])
	}
	if len(columns) == 0 {
		columns = b.Key.quoted("")
	}
	if len(columns) != len(b.Key) || len(columns) == 0 {
		panic(fmt.Sprintf("registry: Where with %d columns for a key of %d", len(columns), len(b.Key)))
	}
	return b.Key.within(columns, b.First)
}

// Args returns the values for the placeholders of [Batch.Where], as strings. It
// panics on a bound that is not rendered as [Key] says, which no executor hands out.
func (b Batch) Args() []any {
	if b.Rows != "" {
		return []any{b.Rows}
	}
	args := make([]any, 0, 2*len(b.Key))
	for _, bound := range []string{b.After, b.End} {
		values, err := b.Key.Values(bound)
		if err != nil {
			panic("registry: Args: " + err.Error())
		}
		for _, value := range values {
			args = append(args, value)
		}
	}
	return args
}

// addressed renders the condition that a row's address is among those of $1.
func addressed(column string) string { return "(" + column + " = ANY ($1::tid[]))" }
