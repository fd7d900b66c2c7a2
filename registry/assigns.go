package registry

import (
	"slices"
	"strings"
)

// Assigns reports whether the statement sets the table's column in an UPDATE,
// an ON CONFLICT DO UPDATE or a MERGE. It reads the statement's text: what a
// view, a trigger, a rule or a function does is not seen. The table is named as
// in [Migration.Table], the column unquoted.
func (s Statement) Assigns(table, column string) bool {
	tokens, err := tokenize(table)
	if err != nil {
		return false
	}
	want := cursor{text: table, tokens: tokens}.path()
	var target []string
	for i, t := range s.tokens {
		if t.kind != kindWord {
			continue
		}
		rest := cursor{text: s.text, tokens: s.tokens[i+1:]}
		switch strings.ToUpper(s.text[t.start:t.end]) {
		case "INTO":
			target = rest.path()
		case "UPDATE":
			// ON CONFLICT and MERGE name the table before, FOR UPDATE locks only.
			if before := lower(s.value(i - 1)); !rest.isWord("SET") && before != "for" && before != "key" {
				target = rest.path()
			}
		case "SET":
			if sameTable(target, want) && slices.Contains(rest.assigned(), column) {
				return true
			}
		}
	}
	return false
}

// value returns the i-th token's text, or "" where there is none.
func (s Statement) value(i int) string {
	if i < 0 {
		return ""
	}
	return s.text[s.tokens[i].start:s.tokens[i].end]
}

// sameTable compares two paths by as many parts as both have.
func sameTable(a, b []string) bool {
	n := min(len(a), len(b))
	return n > 0 && slices.Equal(a[len(a)-n:], b[len(b)-n:])
}

// cursor reads a statement's tokens from some place on.
type cursor struct {
	text   string
	tokens []token
}

func (c cursor) value(i int) string {
	if i >= len(c.tokens) {
		return ""
	}
	return c.text[c.tokens[i].start:c.tokens[i].end]
}

func (c cursor) isWord(word string) bool { return strings.EqualFold(c.value(0), word) }

// name returns the i-th token as PostgreSQL spells the name, or "" if it is none.
func (c cursor) name(i int) string {
	if i >= len(c.tokens) {
		return ""
	}
	value := c.value(i)
	switch c.tokens[i].kind {
	case kindWord:
		return lower(value)
	case kindQuotedName:
		return strings.ReplaceAll(value[1:len(value)-1], `""`, `"`)
	default:
		return ""
	}
}

// path reads a table's name: its parts, the schema before the table.
func (c cursor) path() []string {
	i := 0
	for strings.EqualFold(c.value(i), "ONLY") || c.value(i) == "(" {
		i++
	}
	var parts []string
	for {
		parts = append(parts, c.name(i))
		if c.value(i+1) != "." {
			return parts
		}
		i += 2
	}
}

// assigned reads the columns that a SET clause gives a value.
func (c cursor) assigned() []string {
	var columns []string
	depth, target, list := 0, true, false
	for i := range c.tokens {
		switch value := c.value(i); {
		case value == "(" || value == "[":
			list = list || target && depth == 0 && value == "("
			target = list && depth == 0
			depth++
		case value == ")" || value == "]":
			if depth == 0 {
				return columns
			}
			depth--
			list = list && depth > 0
		case value == ",":
			target = depth == 0 || list && depth == 1
		case target:
			columns = append(columns, c.name(i))
			target = false
		case depth == 0 && endsSet(value):
			return columns
		}
	}
	return columns
}

// endsSet reports whether a keyword ends a SET clause.
func endsSet(word string) bool {
	switch strings.ToUpper(word) {
	case "FROM", "WHERE", "RETURNING", "WHEN":
		return true
	default:
		return false
	}
}

// lower folds a name as PostgreSQL does, ASCII letters only.
func lower(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, name)
}
