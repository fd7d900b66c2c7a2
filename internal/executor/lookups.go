package executor

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/registry"
)

// target is the table that a migration works on, and the key it walks along.
type target struct {
	table     string // schema-qualified and quoted
	oid       uint32
	key       registry.Key
	index     uint32 // the key's
	collation string // collation versions of the key's columns
	tuples    int64  // the planner's estimate
	null      string // with the strategy "null", which has no key: the column, quoted
}

// columns renders the key's columns of the table's alias x as one SQL value.
func (t target) columns() string {
	if len(t.key) == 1 {
		return t.column(0)
	}
	return "(" + t.orderBy() + ")"
}

// orderBy renders the key's columns, always qualified: in "SELECT id::text …
// ORDER BY id" the name would mean the output column, and sort as text.
func (t target) orderBy() string {
	all := make([]string, len(t.key))
	for i := range t.key {
		all[i] = t.column(i)
	}
	return strings.Join(all, ", ")
}

func (t target) descending() string {
	all := make([]string, len(t.key))
	for i := range t.key {
		all[i] = t.column(i) + " DESC"
	}
	return strings.Join(all, ", ")
}

func (t target) column(i int) string { return "x." + pgx.Identifier{t.key[i].Name}.Sanitize() }

// rendered renders a row's key as text; see [registry.Key].
func (t target) rendered() string {
	if len(t.key) == 1 {
		return t.column(0) + "::text"
	}
	all := make([]string, len(t.key))
	for i := range t.key {
		all[i] = t.column(i) + "::text"
	}
	return "jsonb_build_array(" + strings.Join(all, ", ") + ")::text"
}

// value turns an SQL expression for a rendered key back into the key's types.
func (t target) value(rendered string) string {
	if len(t.key) == 1 {
		return rendered + "::" + t.key[0].Type
	}
	all := make([]string, len(t.key))
	for i, c := range t.key {
		all[i] = fmt.Sprintf("(%s::jsonb->>%d)::%s", rendered, i, c.Type)
	}
	return "(" + strings.Join(all, ", ") + ")"
}

// lookups renders the subqueries of a block claim. wantStart says that the
// Work asks for the first key of its batch.
func (t target) lookups(wantStart bool) control.Lookups {
	// The key is rendered outside: inside, the server would render each key that OFFSET passes over.
	end := func(comparison, from string) string {
		return fmt.Sprintf("SELECT %s FROM (SELECT %s FROM %s x WHERE %s %s %s AND %s <= %s ORDER BY %s OFFSET $3::int - 1 LIMIT 1) x",
			t.rendered(), t.orderBy(), t.table, t.columns(), comparison, t.value(from), t.columns(), t.value("w.stop"), t.orderBy())
	}
	rest := func(comparison, from string) string {
		return fmt.Sprintf("SELECT count(*) FROM %s x WHERE %s %s %s AND %s <= %s",
			t.table, t.columns(), comparison, t.value(from), t.columns(), t.value("w.hi"))
	}
	l := control.Lookups{
		FirstEnd: end(">=", "w.first"), NextEnd: end(">", "w.hi"), Start: "NULL",
		Rest: "CASE WHEN w.lo IS NULL THEN (" + rest(">=", "w.first") + ") ELSE (" + rest(">", "w.lo") + ") END",
	}
	if !wantStart || len(t.key) > 1 {
		return l
	}
	if t.discrete() {
		l.Start = fmt.Sprintf("(w.lo::%s + 1)::text", t.key[0].Type)
		return l
	}
	l.Start = fmt.Sprintf("coalesce((SELECT %s FROM %s x WHERE %s > %s AND %s <= %s ORDER BY %s LIMIT 1), w.hi)",
		t.rendered(), t.table, t.columns(), t.value("w.lo"), t.columns(), t.value("w.hi"), t.orderBy())
	return l
}

// discrete reports whether the key's next value is the value plus one.
func (t target) discrete() bool {
	return len(t.key) == 1 && (t.key[0].Type == "bigint" || t.key[0].Type == "integer" || t.key[0].Type == "smallint")
}

// scattered reports whether neighbours in the key's order tend to lie far apart in the table, as
// with random keys: then looking up where a batch ends costs about as much as the batch.
func (t target) scattered() bool {
	return !t.discrete() && !strings.HasPrefix(t.key[0].Type, "timestamp")
}
