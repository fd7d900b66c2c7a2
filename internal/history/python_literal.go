package history

import "strings"

// pyValue is the value of an assignment: None, a text, or several.
type pyValue struct {
	texts  []string
	isNone bool
	isList bool // a tuple, list or set, even of one
	line   int
}

// pyLiteral reads a value from the tokens behind the = of an assignment. It
// returns the token that is no part of a literal, if there is one.
func pyLiteral(tokens []pyToken) (pyValue, *pyToken) {
	if len(tokens) == 0 {
		return pyValue{}, &pyToken{}
	}
	r := literalReader{tokens: tokens}
	value := r.sequence("")
	value.line = tokens[0].line
	if r.bad == nil && r.pos < len(tokens) {
		r.fail()
	}
	return value, r.bad
}

type literalReader struct {
	tokens []pyToken
	pos    int
	bad    *pyToken
}

func (r *literalReader) fail() {
	if r.bad == nil {
		r.bad = &r.tokens[min(r.pos, len(r.tokens)-1)]
	}
}

func (r *literalReader) at(op string) bool {
	return op != "" && r.pos < len(r.tokens) && r.tokens[r.pos].is(op)
}

// sequence reads elements up to a closing bracket, or up to the end. One
// element in round brackets, or in none, is a tuple only with a comma.
func (r *literalReader) sequence(closer string) pyValue {
	value := pyValue{isList: closer == "]" || closer == "}" || r.at(closer)}
	var only pyValue
	for r.bad == nil && r.pos < len(r.tokens) && !r.at(closer) {
		start := r.pos
		only = r.element()
		value.isList = value.isList || r.at(",")
		if value.isList && (only.isNone || only.isList) {
			r.pos = start
			r.fail() // nothing that Alembic reads is nested
		}
		value.texts = append(value.texts, only.texts...)
		if !r.at(",") {
			break
		}
		r.pos++
	}
	if closer != "" {
		if !r.at(closer) {
			r.fail()
		}
		r.pos++
	}
	if value.isList {
		return value
	}
	return only
}

func (r *literalReader) element() pyValue {
	if r.pos >= len(r.tokens) {
		r.fail()
		return pyValue{}
	}
	t := r.tokens[r.pos]
	switch {
	case t.word("None"):
		r.pos++
		return pyValue{isNone: true}
	case t.kind == pyString:
		return r.text()
	case t.is("("), t.is("["), t.is("{"):
		r.pos++
		return r.sequence(map[string]string{"(": ")", "[": "]", "{": "}"}[t.text])
	}
	r.fail()
	return pyValue{}
}

// text reads a string, or several that Python would glue together.
func (r *literalReader) text() pyValue {
	var b strings.Builder
	for r.pos < len(r.tokens) && r.tokens[r.pos].kind == pyString {
		value, ok := decodeString(r.tokens[r.pos])
		if !ok || strings.ContainsRune(value, '\ufffd') {
			r.fail()
			return pyValue{}
		}
		b.WriteString(value)
		r.pos++
	}
	return pyValue{texts: []string{b.String()}}
}
