package registry

import (
	"strings"
)

// parser checks the tokens of a statement and finds its placeholders.
type parser struct {
	text   string
	tokens []token
	marks  []mark
}

// oneStatement refuses anything behind the first semicolon and drops it from
// the tokens.
func (p *parser) oneStatement() error {
	for i, t := range p.tokens {
		if p.value(t) != ";" {
			continue
		}
		for _, after := range p.tokens[i:] {
			if p.value(after) != ";" {
				return p.fail(after, "a second statement begins",
					"join the two with WITH … AS (… RETURNING …), or enqueue a migration for each")
			}
		}
		p.tokens = p.tokens[:i]
		break
	}
	if len(p.tokens) == 0 {
		return failAt(p.text, 0, "no statement", "write one, such as UPDATE t SET a = b WHERE :range")
	}
	return nil
}

func (p *parser) noParameters() error {
	for _, t := range p.tokens {
		if t.kind == kindParameter {
			return p.fail(t, "parameter "+p.value(t)+" has no value",
				"write :range, or :start and :end, for the batch's keys, and every other value as a constant")
		}
	}
	return nil
}

// command refuses what PREPARE would refuse: such a statement may end the
// transaction that holds the batch and its bookkeeping together.
func (p *parser) command() error {
	first := p.tokens[0]
	for _, t := range p.tokens {
		first = t
		if p.value(t) != "(" {
			break
		}
	}
	switch word := strings.ToUpper(p.value(first)); word {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH":
		return nil
	default:
		return p.fail(first, "statement begins with "+clip(word),
			"a batch is one SELECT, INSERT, UPDATE, DELETE, MERGE or WITH; put anything else into a function that it selects, or into a Work in Go")
	}
}

// findMarks collects the placeholders and refuses names that are none.
func (p *parser) findMarks() error {
	var open []string
	for i, t := range p.tokens {
		switch value := p.value(t); value {
		case "(", "[":
			open = append(open, value)
		case ")", "]":
			open = open[:max(0, len(open)-1)]
		}
		if t.kind != kindPlaceholder {
			continue
		}
		subscript := len(open) > 0 && open[len(open)-1] == "["
		if err := p.addMark(i, subscript); err != nil {
			return err
		}
	}
	return nil
}

// addMark adds the placeholder that is the i-th token. Directly inside of
// brackets a colon may be a slice's as well.
func (p *parser) addMark(i int, subscript bool) error {
	t := p.tokens[i]
	name := p.value(t)
	known := name == placeholderRange || name == placeholderStart || name == placeholderEnd
	switch {
	case known && subscript:
		return p.fail(t, name+" directly inside of [ ] may also be a slice's bound",
			"write ("+name+") for the placeholder, or a space after the colon for the slice")
	case subscript:
		return nil
	case !known:
		return p.fail(t, "unknown placeholder "+clip(name),
			"the placeholders are :range, :start and :end, in lower case; put a space after a colon that is not one's")
	}
	m := mark{start: t.start, end: t.end, name: name}
	if name == placeholderRange {
		if err := p.alias(&m, i+1); err != nil {
			return err
		}
	}
	p.marks = append(p.marks, m)
	return nil
}

// alias reads the (alias) of :range, from the i-th token on, where there is one.
func (p *parser) alias(m *mark, i int) error {
	if i == len(p.tokens) || p.value(p.tokens[i]) != "(" {
		return nil
	}
	const fix = "write :range(t), with t the alias or the name of the migration's table"
	if p.tokens[i].start != m.end {
		return p.fail(p.tokens[i], "space between :range and its parenthesis", fix)
	}
	for i++; i+1 < len(p.tokens); i += 2 {
		name, after := p.tokens[i], p.tokens[i+1]
		if name.kind != kindWord && name.kind != kindQuotedName {
			break
		}
		m.alias += p.value(name) + "."
		if p.value(after) == ")" {
			m.end = after.end
			return nil
		}
		if p.value(after) != "." {
			break
		}
	}
	return failAt(p.text, m.start, ":range is not followed by the alias of one table", fix)
}

// completeMarks refuses a statement that does not keep to the batch's range.
func (p *parser) completeMarks() error {
	found := map[string]bool{}
	for _, m := range p.marks {
		found[m.name] = true
	}
	first := p.tokens[0]
	switch {
	case len(found) == 0:
		return p.fail(first, "no placeholder, so every batch would touch every row",
			"write WHERE :range, or WHERE id BETWEEN :start AND :end")
	case found[placeholderStart] && !found[placeholderEnd]:
		return p.fail(first, ":start without :end", "write both, as in BETWEEN :start AND :end, or :range")
	case found[placeholderEnd] && !found[placeholderStart]:
		return p.fail(first, ":end without :start", "write both, as in BETWEEN :start AND :end, or :range")
	}
	return nil
}

func (p *parser) value(t token) string { return p.text[t.start:t.end] }

func (p *parser) fail(t token, reason, fix string) error {
	return failAt(p.text, t.start, reason, fix)
}

// clip shortens a piece of the text for an error.
func clip(s string) string {
	const limit = 40
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
