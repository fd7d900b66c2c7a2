package registry

import (
	"errors"
	"fmt"
	"strings"
)

// Statement is the text of one SQL statement whose batch range stands in it as
// :range, or as :start and :end. Strings, quoted names, comments, dollar quotes
// and casts (::) are left alone. [ParseStatement] makes one; the zero value
// binds to nothing. A Statement does not change and may be shared.
type Statement struct {
	text   string
	tokens []token
	marks  []mark
}

// mark is a placeholder in the text.
type mark struct {
	start, end int    // bytes, with the parentheses of :range(alias)
	name       string // one of the placeholder constants
	alias      string // as written, with a trailing dot, or empty
}

const (
	placeholderRange = ":range"
	placeholderStart = ":start"
	placeholderEnd   = ":end"
)

// ParseStatement finds the placeholders in text, which PostgreSQL reads with
// standard_conforming_strings on, its default.
//
// It accepts one SELECT, INSERT, UPDATE, DELETE, MERGE or WITH, since only
// those cannot end the batch's transaction, with or without a semicolon at its
// end. It refuses a text without any placeholder, with only one of :start and
// :end, with a :name that is none, with $1-style parameters, or with more than
// one statement. Its errors are of type [*StatementError].
func ParseStatement(text string) (Statement, error) {
	tokens, err := tokenize(text)
	if err != nil {
		return Statement{}, err
	}
	p := parser{text: text, tokens: tokens}
	for _, check := range []func() error{p.oneStatement, p.noParameters, p.command, p.findMarks, p.completeMarks} {
		if err := check(); err != nil {
			return Statement{}, err
		}
	}
	return Statement{text: text, tokens: p.tokens, marks: p.marks}, nil
}

// Text returns the statement as it was written.
func (s Statement) Text() string { return s.text }

// UsesStart reports whether the statement contains :start, whose value is not
// the exclusive lower bound but the first key of the range: Bind's lower bound
// parameters are then [Batch.Start] instead of After.
func (s Statement) UsesStart() bool {
	for _, m := range s.marks {
		if m.name == placeholderStart {
			return true
		}
	}
	return false
}

// Bind renders the statement for a key with PostgreSQL's $n placeholders.
//
// first selects the form for the first batch, whose lower bound is inclusive;
// a statement that uses :start has the inclusive form only. The parameters are,
// in order: the columns of the lower bound, the columns of the upper bound, as
// text; each use is cast to the column's type. Columns are named unqualified in
// :range; :range(alias) qualifies them with a table alias.
//
// It refuses a key without columns, and :start and :end with a key of several.
func (s Statement) Bind(k Key, first bool) (string, error) {
	switch {
	case len(s.marks) == 0:
		return "", errors.New("statement is empty: make it with ParseStatement")
	case len(k) == 0:
		return "", errors.New("key has no columns")
	case s.UsesStart() && len(k) > 1:
		return "", fmt.Errorf(":start and :end need a key of one column and this one is (%s): write WHERE :range instead",
			strings.Join(k.names(), ", "))
	}
	var bound strings.Builder
	done := 0
	for _, m := range s.marks {
		bound.WriteString(s.text[done:m.start])
		bound.WriteString(m.render(k, first || s.UsesStart()))
		done = m.end
	}
	bound.WriteString(s.text[done:])
	return bound.String(), nil
}

// BindRows renders the statement for the strategy "null", whose batches are
// rows by their address: :range names those in $1, a tid[] as text. It refuses
// :start and :end, since there is no range of keys.
func (s Statement) BindRows() (string, error) {
	if len(s.marks) == 0 {
		return "", errors.New("statement is empty: make it with ParseStatement")
	}
	var bound strings.Builder
	done := 0
	for _, m := range s.marks {
		if m.name != placeholderRange {
			return "", fmt.Errorf("%s needs a range of keys, which the strategy \"null\" has not: write WHERE :range instead", m.name)
		}
		bound.WriteString(s.text[done:m.start])
		bound.WriteString(addressed(m.alias + "ctid"))
		done = m.end
	}
	bound.WriteString(s.text[done:])
	return bound.String(), nil
}

// render returns what stands for the placeholder. It is always in parentheses,
// so that what the author wrote around it cannot bind to a part of it.
func (m mark) render(k Key, inclusive bool) string {
	switch m.name {
	case placeholderStart:
		return "(" + k.parameter(0, 1) + ")"
	case placeholderEnd:
		return "(" + k.parameter(0, 2) + ")"
	default:
		return k.within(k.quoted(m.alias), inclusive)
	}
}
