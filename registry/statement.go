package registry

// Statement is the text of one SQL statement whose batch range stands in it as
// :range, or as :start and :end. Strings, quoted names, comments, dollar quotes
// and casts (::) are left alone.
type Statement struct {
	text string
	// marks: offsets of placeholders, found once by ParseStatement
}

// ParseStatement finds the placeholders in text.
// It refuses a text without any of them, with only one of :start and :end, with
// $1-style parameters, or with more than one statement.
func ParseStatement(text string) (Statement, error) { panic("todo") }

// Bind renders the statement for a key with PostgreSQL's $n placeholders.
// first selects the form for the first batch, whose lower bound is inclusive.
// The parameters are, in order: the columns of the lower bound, the columns of
// the upper bound, as text; each use is cast to the column's type. Columns are named
// unqualified in :range; `:range(alias)` qualifies them with a table alias.
func (s Statement) Bind(k Key, first bool) string { panic("todo") }

// UsesStart reports whether the statement contains :start, whose value is not
// the exclusive lower bound but the first key of the range: Bind's lower bound parameters
// are then [Batch.Start] instead of After.
func (s Statement) UsesStart() bool { panic("todo") }
